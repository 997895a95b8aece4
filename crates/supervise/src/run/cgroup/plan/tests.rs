//! The groups of one specification in either version.

use serde_json::json;

use super::*;

fn specification(memory: Option<u64>, cpu: Option<u32>) -> Specification {
    serde_json::from_value(json!({
        "version": 1,
        "instance": "shop",
        "directory": "/",
        "memory": memory,
        "cpu": cpu,
        "processes": [
            { "name": "web", "command": ["web"], "memory": 1000, "cpu": 2000 },
            { "name": "a/b", "command": ["agent"], "cpu": 5 },
            { "name": "other", "command": ["other"] },
        ],
    }))
    .unwrap()
}

fn at(version: Version, folder: &str) -> Place {
    Place {
        version,
        folder: folder.into(),
    }
}

/// `folder: file=value …`, a line for each group.
fn shown(plan: &Plan) -> Vec<String> {
    plan.groups
        .iter()
        .map(|group| {
            let settings = group
                .settings
                .iter()
                .map(|setting| format!(" {}={}", setting.file, setting.value));
            format!(
                "{}:{}",
                group.folder.display(),
                settings.collect::<String>()
            )
        })
        .collect()
}

#[test]
fn two_hierarchies_of_version_1() {
    let (memory, cpu) = (at(Version::One, "/m"), at(Version::One, "/c"));
    let plan = plan(
        &specification(Some(5000), Some(1500)),
        "x",
        Some(&memory),
        Some(&cpu),
    );
    assert_eq!(
        shown(&plan),
        [
            "/m/x: memory.use_hierarchy=1 memory.limit_in_bytes=5000 memory.memsw.limit_in_bytes=5000 memory.oom_control=0",
            "/m/x/0-web: memory.limit_in_bytes=1000 memory.memsw.limit_in_bytes=1000 memory.oom_control=0",
            "/c/x: cpu.cfs_period_us=100000 cpu.cfs_quota_us=150000",
            "/c/x/0-web: cpu.cfs_period_us=100000 cpu.cfs_quota_us=150000",
            "/c/x/1-a_b: cpu.cfs_period_us=1000000 cpu.cfs_quota_us=5000",
        ]
    );
    assert_eq!(plan.outermost, [Path::new("/m/x"), Path::new("/c/x")]);
    let [web, agent, other] = &plan.processes[..] else {
        panic!()
    };
    assert_eq!(
        web.joins,
        [Path::new("/m/x/0-web"), Path::new("/c/x/0-web")]
    );
    assert_eq!(agent.joins, [Path::new("/m/x"), Path::new("/c/x/1-a_b")]);
    assert_eq!(agent.memory.as_deref(), Some(Path::new("/m/x")));
    assert_eq!(agent.own, [Path::new("/c/x/1-a_b")]);
    assert_eq!(other.joins, [Path::new("/m/x"), Path::new("/c/x")]);
    assert!(other.own.is_empty());
}

#[test]
fn the_one_hierarchy_of_version_2() {
    let place = at(Version::Two, "/g");
    let plan = plan(
        &specification(Some(5000), None),
        "x",
        Some(&place),
        Some(&place),
    );
    assert_eq!(
        shown(&plan),
        [
            "/g/x: memory.max=5000 memory.swap.max=0 cgroup.subtree_control=+memory cgroup.subtree_control=+cpu",
            "/g/x/0-web: memory.max=1000 memory.swap.max=0 memory.oom.group=1 cpu.max=200000 100000",
            "/g/x/1-a_b: cpu.max=5000 1000000",
            "/g/x/others:",
        ]
    );
    assert_eq!(plan.processes[2].joins, [Path::new("/g/x/others")]);
    // Its group has no limit of its own, but is below one that has.
    assert_eq!(
        plan.processes[1].memory.as_deref(),
        Some(Path::new("/g/x/1-a_b"))
    );
    let needed: Vec<_> = plan
        .needed(&plan.processes[2])
        .map(|group| &group.folder)
        .collect();
    assert_eq!(needed, [Path::new("/g/x"), Path::new("/g/x/others")]);
}

#[test]
fn no_group_where_no_limit_is_asked() {
    let place = at(Version::Two, "/g");
    let mut specification = specification(None, None);
    // Only those with limits of their own are in a group.
    let own = plan(&specification, "x", Some(&place), None);
    assert_eq!(own.groups.len(), 2);
    assert_eq!(own.processes[1], Membership::default());
    for process in &mut specification.processes {
        (process.memory, process.cpu) = (None, None);
    }
    assert_eq!(
        plan(&specification, "x", Some(&place), Some(&place)).groups,
        []
    );
    // One for the whole alone needs none below.
    specification.memory = Some(7);
    let whole = plan(&specification, "x", Some(&place), Some(&place));
    assert_eq!(shown(&whole), ["/g/x: memory.max=7 memory.swap.max=0"]);
    assert_eq!(whole.processes[0].joins, [Path::new("/g/x")]);
}

#[test]
fn one_name_for_each_place() {
    let first = name("shop/web 1", Path::new("/a"));
    assert!(first.starts_with("landfall-shop_web_1-"));
    assert_eq!(first, name("shop/web 1", Path::new("/a")));
    assert_ne!(first, name("shop/web 1", Path::new("/b")));
}
