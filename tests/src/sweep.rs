//! Ends whatever a test left running.

use std::{
    fs,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::Once,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, waitpid};

/// Makes this process the parent of every orphan below it, so that it can reap what it ends.
pub fn adopt_orphans() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Elsewhere than on Linux this fails, and there the sweep still ends them.
        let _ = set_child_subreaper(Pid::from_raw(1));
    });
}

/// The processes that mention a folder in their environment, arguments or working folder.
pub fn processes_of(home: &Path) -> Vec<u32> {
    let home = home.as_os_str().as_bytes();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|process| *process != std::process::id())
        .filter(|process| {
            let mentions = |file: &str| {
                fs::read(format!("/proc/{process}/{file}")).is_ok_and(|text| contains(&text, home))
            };
            let works_there = fs::read_link(format!("/proc/{process}/cwd"))
                .is_ok_and(|path| contains(path.as_os_str().as_bytes(), home));
            mentions("environ") || mentions("cmdline") || works_there
        })
        .collect()
}

/// Ends all of them, and says how many there were.
pub fn sweep(home: &Path) -> usize {
    let begun = Instant::now();
    let mut ended = 0;
    // A process may fork between the look and the signal, so look until nothing is left.
    while begun.elapsed() < Duration::from_secs(10) {
        let left = processes_of(home);
        if left.is_empty() {
            break;
        }
        for process in left {
            let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) else {
                continue;
            };
            if kill_process(process, Signal::KILL).is_ok() {
                ended += 1;
            }
            // Only what became our child by being orphaned; anything else refuses.
            let _ = waitpid(Some(process), WaitOptions::NOHANG);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    ended
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}
