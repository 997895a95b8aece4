//! A container that does one thing and is gone.

use crate::support::{self, until};
use landfall_containers::Output;
use std::sync::mpsc;

#[test]
fn what_it_reads_writes_and_ends_with() {
    support::with("once", async |place| {
        let line =
            "while read -r line; do echo \"out $line\"; echo \"err $line\" >&2; done; exit 7";
        let container = place.shell("echo", line);
        let (mut out, mut error) = (String::new(), String::new());
        let mut take = |output, bytes: &[u8]| {
            let text = std::str::from_utf8(bytes).unwrap();
            match output {
                Output::Standard => out.push_str(text),
                Output::Error => error.push_str(text),
            }
        };
        let input = "a\n".repeat(1000);
        let ended = place
            .engine
            .run_once(&container, Some(input.as_bytes()), &mut take);
        let ended = ended.await.unwrap();
        assert_eq!((ended.exit_code, ended.oom_killed), (7, false));
        assert_eq!(out, "out a\n".repeat(1000));
        assert_eq!(error, "err a\n".repeat(1000));
        assert_eq!(place.engine.container(&container.name).await.unwrap(), None);
    });
}

#[test]
fn all_of_its_output_is_handed_out_however_soon_it_ends() {
    support::with("once-quick", async |place| {
        for round in 0..5 {
            let container =
                place.shell(&format!("quick-{round}"), "exec head -c 3000000 /dev/zero");
            let (code, output) = place.ran(&container).await;
            assert_eq!((code, output.len()), (0, 3_000_000));
        }
    });
}

#[test]
fn input_that_nobody_reads_does_not_keep_it() {
    support::with("once-deaf", async |place| {
        let input = vec![b'x'; 8 << 20];
        let container = place.shell("deaf", "exit 4");
        let ended = place
            .engine
            .run_once(&container, Some(&input), |_, _| {})
            .await;
        assert_eq!(ended.unwrap().exit_code, 4);
    });
}

#[test]
fn nobody_waits_for_it_any_more_and_it_is_gone() {
    support::with("once-dropped", async |place| {
        let container = place.shell("endless", "echo begun; exec sleep 1000");
        let (sender, receiver) = mpsc::channel();
        {
            let run = place.engine.run_once(&container, None, move |_, _| {
                let _ = sender.send(());
            });
            let begun = until("it began", async || receiver.try_recv().ok());
            tokio::select! {
                ended = run => panic!("{ended:?}"),
                () = begun => {}
            }
        }
        until("it is removed", async || {
            let found = place.engine.container(&container.name).await.unwrap();
            found.is_none().then_some(())
        })
        .await;
    });
}

#[test]
fn what_cannot_run_leaves_nothing() {
    support::with("once-wrong", async |place| {
        let mut container = place.shell("wrong", "");
        container.command = vec!["/bin/nothing-of-that-name".to_owned()];
        let error = place
            .engine
            .run_once(&container, None, |_, _| {})
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("nothing-of-that-name"),
            "{error}"
        );
        until("it is removed", async || {
            let found = place.engine.container(&container.name).await.unwrap();
            found.is_none().then_some(())
        })
        .await;
    });
}
