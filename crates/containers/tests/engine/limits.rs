//! What a container may and may not.

use crate::support::{self, until};
use landfall_containers::ContainerSpecification;

#[test]
fn memory_has_an_end_and_it_is_seen() {
    support::with("memory", async |place| {
        let line = "dd if=/dev/zero of=/dev/null bs=200M count=1; echo $?";
        let limited = |what: &str, line: &str| ContainerSpecification {
            memory: Some(32 << 20),
            ..place.shell(what, line)
        };
        let (_, output) = place.ran(&limited("once", line)).await;
        assert!(output.contains("137"), "{output}");
        let hungry = limited("hungry", &format!("{line}; exec sleep 1000"));
        place.started(&hungry).await;
        until("it was counted", async || {
            let usage = place.engine.usage(&hungry.name).await.unwrap().unwrap();
            if usage.oom_kills.is_none() {
                println!("skipped: cgroups of containers aren't seen from here");
            }
            usage.oom_kills.is_none_or(|kills| kills == 1).then_some(())
        })
        .await;
        let modest = limited("modest", "exec dd if=/dev/zero of=/dev/null bs=1M count=1");
        let ended = place
            .engine
            .run_once(&modest, None, |_, _| {})
            .await
            .unwrap();
        assert_eq!((ended.exit_code, ended.oom_killed), (0, false));
    });
}

#[test]
fn processes_have_a_most() {
    support::with("pids", async |place| {
        let line = "for n in 1 2 3 4 5 6 7 8 9 10; do sleep 100 & done; echo all";
        let limited = ContainerSpecification {
            pids: Some(6),
            ..place.shell("limited", line)
        };
        let (code, output) = place.ran(&limited).await;
        assert_ne!(code, 0);
        assert!(output.contains("fork"), "{output}");
        let (code, output) = place.ran(&place.shell("free", line)).await;
        assert_eq!((code, output.as_str()), (0, "all\n"));
    });
}

#[test]
fn the_root_is_not_written_and_tmpfs_is() {
    support::with("read-only", async |place| {
        let line = "exec 2>&1; touch /data/a && echo root; touch /tmp/a && echo tmp";
        let mut container = ContainerSpecification {
            tmpfs: [("/tmp".to_owned(), "size=1m,mode=1777".to_owned())].into(),
            ..place.shell("root", line)
        };
        let (code, output) = place.ran(&container).await;
        assert_eq!((code, output.as_str()), (0, "root\ntmp\n"));
        container.read_only = true;
        let (code, output) = place.ran(&container).await;
        assert_eq!(code, 0);
        assert!(
            output.contains("Read-only") && output.ends_with("tmp\n"),
            "{output}"
        );
        container.command[2] = "dd if=/dev/zero of=/tmp/a bs=1M count=3".to_owned();
        let (code, output) = place.ran(&container).await;
        assert!(code != 0 && output.contains("No space"), "{output}");
    });
}

#[test]
fn the_user_is_who_was_asked_for_and_has_what_was_asked_for() {
    support::with("user", async |place| {
        let (_, output) = place.ran(&place.shell("image", "id -u; pwd")).await;
        assert_eq!(output, "1234\n/data\n", "the image's");
        let line = "id -u; pwd; grep -E 'CapEff|NoNewPrivs' /proc/self/status; \
                    cat /proc/self/oom_score_adj";
        let mut container = ContainerSpecification {
            user: Some("0:0".to_owned()),
            directory: Some("/tmp".to_owned()),
            ..place.shell("root", line)
        };
        let (_, output) = place.ran(&container).await;
        let none = "0\n/tmp\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n0\n";
        assert_eq!(output, none);
        container.command[2] = "touch /tmp/a; chown 7 /tmp/a".to_owned();
        let (code, output) = place.ran(&container).await;
        assert!(code != 0 && output.contains("not permitted"), "{output}");
        container.capabilities = vec!["CHOWN".to_owned()];
        let (code, output) = place.ran(&container).await;
        assert_eq!((code, output.as_str()), (0, ""));
    });
}

#[test]
fn more_processors_than_there_are_is_all_there_are() {
    support::with("cpu", async |place| {
        let container = ContainerSpecification {
            cpu: Some(1_000_000),
            shared_memory: Some(3 << 20),
            ..place.shell(
                "greedy",
                "dd if=/dev/zero of=/dev/shm/a bs=1M count=10 2>/dev/null; \
                                     wc -c < /dev/shm/a",
            )
        };
        let (_, output) = place.ran(&container).await;
        assert_eq!(output.trim(), (3 << 20).to_string());
    });
}

#[test]
fn without_a_place_on_a_network_there_is_none() {
    support::with("alone", async |place| {
        let line = "ls /proc/sys/net/ipv4/conf";
        let (_, output) = place.ran(&place.shell("alone", line)).await;
        assert!(!output.contains("eth0"), "{output}");
        assert!(output.contains("lo\n"), "{output}");
    });
}
