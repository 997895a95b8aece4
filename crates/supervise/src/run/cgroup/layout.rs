//! Where our own control group is, for each controller, by what `/proc` says.

use std::path::{Component, Path, PathBuf};

/// The group next to the instances' own into which supervisors move, where processes may only be in
/// groups without groups below them.
pub const SUPERVISORS: &str = "landfall-supervisors";

/// The two interfaces; the controllers of one machine may be spread over both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    One,
    Two,
}

/// What limits something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    Memory,
    Cpu,
}

impl Controller {
    /// The system's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
        }
    }
}

/// The folder of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub version: Version,
    pub folder: PathBuf,
}

/// Where the group is to which we belong for a controller, by the texts of `/proc/self/cgroup` and
/// `/proc/self/mountinfo`; none where it isn't mounted, or only for reading. Whether a version 2
/// group has the controller at all is not to be seen in them.
pub fn place(controller: Controller, membership: &str, mounts: &str) -> Option<Place> {
    let place = visible(controller, membership, mounts, true)?;
    let folder = match (place.version, place.folder.file_name()) {
        // Started by a process that a supervisor, ours or another, has moved there.
        (Version::Two, Some(last)) if last == SUPERVISORS => place.folder.parent()?.to_owned(),
        _ => place.folder,
    };
    Some(Place { folder, ..place })
}

/// The same where it is only to be read, as a container's own usually is.
pub fn readable(controller: Controller, membership: &str, mounts: &str) -> Option<PathBuf> {
    visible(controller, membership, mounts, false).map(|place| place.folder)
}

fn visible(
    controller: Controller,
    membership: &str,
    mounts: &str,
    writable: bool,
) -> Option<Place> {
    let lines = || {
        membership.lines().filter_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (number, controllers) = (fields.next()?, fields.next()?);
            Some((number, controllers, Path::new(fields.next()?)))
        })
    };
    let name = controller.name();
    let first = lines().find(|(_, controllers, _)| has(controllers, name));
    let (version, path) = match first {
        Some((.., path)) => (Version::One, path),
        None => {
            let (.., path) = lines()
                .find(|(number, controllers, _)| *number == "0" && controllers.is_empty())?;
            (Version::Two, path)
        }
    };
    let folder = mounts
        .lines()
        .filter_map(Mount::read)
        .filter(|mount| match version {
            Version::One => mount.kind == "cgroup" && has(mount.settings, name),
            Version::Two => mount.kind == "cgroup2",
        })
        .filter(|mount| !writable || !(has(mount.options, "ro") || has(mount.settings, "ro")))
        .find_map(|mount| mount.folder(path))?;
    Some(Place { version, folder })
}

fn has(list: &str, wanted: &str) -> bool {
    list.split(',').any(|one| one == wanted)
}

struct Mount<'text> {
    /// Which part of the hierarchy is mounted.
    root: PathBuf,
    at: PathBuf,
    options: &'text str,
    kind: &'text str,
    settings: &'text str,
}

impl<'text> Mount<'text> {
    fn read(line: &'text str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let mut after = after.split(' ');
        Some(Self {
            root: unescaped(before.next()?),
            at: unescaped(before.next()?),
            options: before.next()?,
            kind: after.next()?,
            settings: after.nth(1)?,
        })
    }

    /// Where a group is below this mount, if it is.
    fn folder(&self, path: &Path) -> Option<PathBuf> {
        let below = path.strip_prefix(&self.root).ok()?;
        // A group outside of our namespace is shown as `/../…`.
        below
            .components()
            .all(|component| matches!(component, Component::Normal(_)))
            // Joined with nothing it would end in a slash.
            .then(|| self.at.components().chain(below.components()).collect())
    }
}

/// A path of mountinfo: blanks, tabs, line ends and backslashes stand there as octal numbers.
fn unescaped(text: &str) -> PathBuf {
    let text = [("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")]
        .into_iter()
        .fold(text.to_owned(), |text, (code, character)| {
            text.replace(&format!("\\{code}"), character)
        });
    PathBuf::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(controller: Controller, membership: &str, mounts: &str) -> Option<(Version, String)> {
        place(controller, membership, mounts)
            .map(|place| (place.version, place.folder.display().to_string()))
    }

    fn one(folder: &str) -> Option<(Version, String)> {
        Some((Version::One, folder.to_owned()))
    }

    fn two(folder: &str) -> Option<(Version, String)> {
        Some((Version::Two, folder.to_owned()))
    }

    const FIRST: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
";

    #[test]
    fn the_first_version_has_a_group_for_each_controller() {
        let membership = "9:name=systemd:/\n4:memory:/jobs/a:b\n3:cpuset:/\n2:cpu,cpuacct:/\n";
        assert_eq!(
            found(Controller::Memory, membership, FIRST),
            one("/sys/fs/cgroup/memory/jobs/a:b")
        );
        assert_eq!(
            found(Controller::Cpu, membership, FIRST),
            one("/sys/fs/cgroup/cpu,cpuacct")
        );
        assert_eq!(found(Controller::Cpu, "3:cpuset:/\n", FIRST), None);
    }

    const SECOND: &str = "\
23 28 0:22 / /proc rw,nosuid - proc proc rw
30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
";

    #[test]
    fn the_second_version_has_one_group() {
        let user = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/landfall.service\n";
        let folder = two(
            "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/landfall.service",
        );
        assert_eq!(found(Controller::Memory, user, SECOND), folder);
        assert_eq!(found(Controller::Cpu, user, SECOND), folder);
        assert_eq!(
            found(
                Controller::Cpu,
                "0::/user.slice/user-0.slice/session-3.scope\n",
                SECOND
            ),
            two("/sys/fs/cgroup/user.slice/user-0.slice/session-3.scope")
        );
    }

    #[test]
    fn who_was_moved_beside_the_groups_finds_the_place_again() {
        let moved = "0::/user.slice/landfall.service/landfall-supervisors\n";
        assert_eq!(
            found(Controller::Cpu, moved, SECOND),
            two("/sys/fs/cgroup/user.slice/landfall.service")
        );
    }

    #[test]
    fn a_hybrid_has_some_controllers_in_each() {
        let mounts = format!(
            "{}41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
            FIRST.replace("cpu,cpuacct", "cpuacct")
        );
        let membership = "4:memory:/user.slice\n2:cpuacct:/\n1:name=systemd:/user.slice/a.scope\n0::/user.slice/a.scope\n";
        assert_eq!(
            found(Controller::Memory, membership, &mounts),
            one("/sys/fs/cgroup/memory/user.slice")
        );
        assert_eq!(
            found(Controller::Cpu, membership, &mounts),
            two("/sys/fs/cgroup/unified/user.slice/a.scope")
        );
    }

    #[test]
    fn a_container_sees_its_own_part() {
        // With a namespace of its own, mounted writable.
        assert_eq!(
            found(
                Controller::Memory,
                "0::/\n",
                "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
            ),
            two("/sys/fs/cgroup")
        );
        // The usual one: for reading only.
        let closed = "30 24 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n";
        assert_eq!(found(Controller::Memory, "0::/\n", closed), None);
        assert_eq!(
            readable(Controller::Memory, "0::/\n", closed),
            Some("/sys/fs/cgroup".into())
        );
        // Without one, its part is bound to where the whole would be.
        let bound = "50 49 0:32 /docker/4f /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(
            found(Controller::Memory, "4:memory:/docker/4f\n", bound),
            one("/sys/fs/cgroup/memory")
        );
        assert_eq!(
            found(Controller::Memory, "4:memory:/docker/4f/web\n", bound),
            one("/sys/fs/cgroup/memory/web")
        );
        // The whole is mounted, but not to be matched with what the namespace shows.
        let outside = "30 24 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        assert_eq!(found(Controller::Memory, "0::/\n", outside), None);
        assert_eq!(found(Controller::Memory, "0::/../other\n", SECOND), None);
    }

    #[test]
    fn a_mount_may_be_anywhere_and_a_text_be_anything() {
        let odd =
            "50 49 0:32 / /mnt/control\\040groups rw master:1 propagate_from:2 - cgroup2 none rw\n";
        assert_eq!(
            found(Controller::Cpu, "0::/a b\n", odd),
            two("/mnt/control groups/a b")
        );
        for text in ["", ":", "0::", "a b c d - e f", "1 2 3 / / rw - cgroup2"] {
            assert_eq!(found(Controller::Cpu, text, text), None);
        }
    }
}
