//! A headless Chromium, driven over a pipe by its DevTools protocol: what a person would do and see.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{wait, world::program};

/// A browser with one page.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: String,
    next: u64,
}

impl Browser {
    /// Starts one with an empty page, its profile in a folder.
    pub fn start(folder: &Path) -> Self {
        // It speaks on the descriptors 3 and 4; the shell puts our pipes there.
        let mut child = Command::new("sh")
            .args([
                "-c",
                "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1",
                "chromium",
            ])
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--remote-debugging-pipe",
            ])
            .args([
                "--no-first-run",
                "--disable-background-networking",
                "--window-size=900,900",
            ])
            .arg(format!(
                "--user-data-dir={}",
                folder.join("chromium").display()
            ))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell is there");
        let mut browser = Self {
            input: child.stdin.take().expect("its input is a pipe"),
            output: BufReader::new(child.stdout.take().expect("its output is a pipe")),
            child,
            session: String::new(),
            next: 0,
        };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attached = browser.call(
            "Target.attachToTarget",
            &json!({ "targetId": target["targetId"], "flatten": true }),
        );
        browser.session = text(&attached["sessionId"]);
        browser
    }

    /// Opens a page and waits until it shows a text.
    #[track_caller]
    pub fn open(&mut self, url: &str, shows: &str) {
        self.call("Page.navigate", &json!({ "url": url }));
        self.shows(shows);
    }

    /// Waits until the page shows a text.
    #[track_caller]
    pub fn shows(&mut self, what: &str) {
        let mut seen = String::new();
        wait(&format!("the browser shows `{what}`"), || {
            // While a page changes to the next one there is no body.
            seen = text(&self.evaluate("document.body ? document.body.innerText : ''"));
            seen.contains(what).then_some(())
        });
    }

    /// Types into the field of this name.
    #[track_caller]
    pub fn fill(&mut self, field: &str, with: &str) {
        let found = self.evaluate(&format!(
            "(() => {{ const field = document.getElementsByName({field:?})[0]; if (!field) return false; \
             field.focus(); field.select(); return true; }})()"
        ));
        assert_eq!(found, true, "no field `{field}` on the page");
        self.call("Input.insertText", &json!({ "text": with }));
    }

    /// Presses the page's button.
    #[track_caller]
    pub fn press_button(&mut self) {
        let found = self.evaluate(
            "(() => { const button = document.querySelector('button'); if (!button) return false; \
             button.click(); return true; })()",
        );
        assert_eq!(found, true, "no button on the page");
    }

    /// Photographs the page into the target folder's `pictures`, and says where.
    pub fn photograph(&mut self, name: &str) -> PathBuf {
        let taken = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        let folder = program("landfall")
            .ancestors()
            .nth(2)
            .expect("the programs lie in target/debug")
            .join("pictures");
        fs::create_dir_all(&folder).expect("the folder of pictures can be made");
        let path = folder.join(format!("{name}.png"));
        fs::write(&path, base64(&text(&taken["data"]))).expect("a picture can be written");
        path
    }

    fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true });
        self.call("Runtime.evaluate", &parameters)["result"]["value"].clone()
    }

    #[track_caller]
    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        write!(self.input, "{message}\0").expect("chromium is there and reads");
        self.input.flush().expect("chromium reads");
        loop {
            let mut line = Vec::new();
            let count = self
                .output
                .read_until(0, &mut line)
                .expect("chromium writes");
            assert!(count > 0, "chromium has ended at {method}");
            line.pop();
            let said: Value = serde_json::from_slice(&line).expect("chromium writes JSON");
            if said["id"] == self.next {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said["result"].clone();
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.bytes() {
        let Some(six) = LETTERS.iter().position(|known| *known == letter) else {
            break;
        };
        bits = bits << 6 | six as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}
