//! Limits of memory and processor time by control groups, where they are writable: one group for the
//! instance, and one below it for each process with limits of its own. Where nothing is asked,
//! nothing is made.
//!
//! What goes beyond a memory limit is killed by the system, which doesn't say so to anyone. It is
//! recognised by three signs together: the process was ended by a SIGKILL that isn't ours (or reports
//! one, 137); the count of the system's kills for memory in its group has grown since it started; and
//! a limit of ours was hit, since the machine as a whole may have run out of memory too. The limit of
//! a container that is ours alone is ours too: its group can be read, though not written.

mod layout;
mod memory;
mod plan;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use landfall_supervise::{
    groups,
    specification::{Specification, files},
};
use rustix::{fs::Access, io::Errno};

use self::{
    layout::{Place, SUPERVISORS, Version},
    plan::{Group, Plan, Refused},
};
pub use layout::Controller;
pub use memory::MemoryKills;

/// How long what a predecessor left may take to end.
const OLD: Duration = Duration::from_millis(500);
/// The same for what is left at the end, when all that can be found otherwise is gone.
const LAST: Duration = Duration::from_millis(200);

/// The groups of an instance.
pub struct Groups {
    plan: Plan,
    record: Option<PathBuf>,
    /// The group of the container whose first process we are.
    container: Option<PathBuf>,
    /// Which limits can't be kept by groups, and why.
    refused: Vec<(Controller, String)>,
}

impl Groups {
    /// Makes what the specification asks for, after what is left of a predecessor is removed, with
    /// all that runs in it. `place` is where the specification stands.
    pub fn set_up(specification: &Specification, place: &Path, visible: bool) -> Self {
        let name = plan::name(&specification.instance, place);
        // A predecessor may have run in another group than we do.
        groups::end_left(place, OLD);
        let mut made = Self {
            plan: Plan::default(),
            record: place.is_dir().then(|| place.join(files::GROUPS)),
            container: container(specification, visible),
            refused: Vec::new(),
        };
        let each = || specification.processes.iter();
        let memory = specification.memory.is_some() || each().any(|one| one.memory.is_some());
        let cpu = specification.cpu.is_some() || each().any(|one| one.cpu.is_some());
        let mut places = Vec::new();
        for controller in [(memory, Controller::Memory), (cpu, Controller::Cpu)]
            .into_iter()
            .filter_map(|(asked, controller)| asked.then_some(controller))
        {
            match find(controller, visible) {
                Ok(place) => places.push((controller, place)),
                Err(why) => made.refused.push((controller, why)),
            }
        }
        // What one controller refuses doesn't keep the other from its work.
        while !places.is_empty() {
            let of = |wanted| {
                let found = places.iter().find(|(controller, _)| *controller == wanted);
                found.map(|(_, place)| place)
            };
            made.plan = plan::plan(
                specification,
                &name,
                of(Controller::Memory),
                of(Controller::Cpu),
            );
            let Err((controllers, why)) = made.make_all() else {
                break;
            };
            made.end();
            places.retain(|(controller, _)| !controllers.contains(controller));
            let refused = controllers.into_iter().map(|one| (one, why.clone()));
            made.refused.extend(refused);
        }
        made
    }

    /// Why a controller's limits can't be kept by groups, where any are asked.
    pub fn refused(&self, controller: Controller) -> Option<&str> {
        let found = self.refused.iter().find(|(other, _)| *other == controller);
        found.map(|(_, why)| why.as_str())
    }

    /// The groups that a process is to join. They are there, also if somebody has taken them away.
    pub fn ready(&self, index: usize) -> io::Result<Vec<PathBuf>> {
        let Some(process) = self.plan.processes.get(index) else {
            return Ok(Vec::new());
        };
        for group in self.plan.needed(process) {
            if !group.folder.exists() {
                make(group).map_err(|(_, why)| io::Error::other(why))?;
            }
        }
        Ok(process.joins.clone())
    }

    /// What the system has killed for memory in the group of a process.
    pub fn memory_kills(&self, index: usize) -> MemoryKills {
        let outermost = &self.plan.outermost;
        self.memory_group(index)
            .map_or_else(MemoryKills::default, |group| {
                let own = group
                    .ancestors()
                    .filter(|above| outermost.iter().any(|outer| above.starts_with(outer)));
                MemoryKills::read(group, own.chain(self.container.as_deref()))
            })
    }

    /// Whether the memory of two processes is counted in the same group.
    pub fn share_memory(&self, one: usize, other: usize) -> bool {
        self.memory_group(one) == self.memory_group(other)
    }

    fn memory_group(&self, index: usize) -> Option<&Path> {
        let process = self.plan.processes.get(index);
        let group = process.and_then(|process| process.memory.as_deref());
        group.or(self.container.as_deref())
    }

    /// Who is in the groups of a process alone: what it has started, wherever it went since.
    pub fn own_processes(&self, index: usize) -> Vec<u32> {
        let process = self.plan.processes.get(index);
        let groups = process.map(|process| &process.own[..]).unwrap_or_default();
        let mut found: Vec<u32> = groups.iter().flat_map(|own| groups::within(own)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Kills who is in the groups of a process alone, at once where the system can do that.
    pub fn kill(&self, index: usize) {
        let process = self.plan.processes.get(index);
        for own in process.into_iter().flat_map(|process| &process.own) {
            groups::kill(own);
        }
    }

    /// Ends whatever is left in the groups, and removes them.
    pub fn end(&mut self) {
        let outermost = std::mem::take(&mut self.plan).outermost;
        if outermost.is_empty() {
            return;
        }
        let left = outermost
            .iter()
            .filter(|outer| !groups::remove(outer, LAST))
            .count();
        if left == 0
            && let Some(record) = &self.record
        {
            let _ = fs::remove_file(record);
        }
    }

    fn make_all(&self) -> Result<(), (Vec<Controller>, String)> {
        for old in self.plan.outermost.iter().filter(|old| old.exists()) {
            groups::remove(old, OLD);
        }
        if let Some(record) = &self.record {
            let paths = self.plan.outermost.iter();
            let text: String = paths.map(|path| format!("{}\n", path.display())).collect();
            // Without it, a successor finds them in its own group only.
            let _ = fs::write(record, text);
        }
        self.plan.groups.iter().try_for_each(make)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.end();
    }
}

/// Makes a group; else the controllers whose limits can't be kept, and why.
fn make(group: &Group) -> Result<(), (Vec<Controller>, String)> {
    match fs::create_dir(&group.folder) {
        // One that could not be removed: what it is set to is what counts.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            let why = format!("{}: {error}", group.folder.display());
            return Err((group.controllers.clone(), why));
        }
        _ => {}
    }
    for setting in &group.settings {
        let file = group.folder.join(setting.file);
        let Err(error) = groups::write(&file, &setting.value) else {
            continue;
        };
        let passes = match setting.refused {
            Refused::Fails => false,
            Refused::Passes => true,
            Refused::PassesWhereOuterIsTighter => {
                Errno::from_io_error(&error) == Some(Errno::INVAL)
            }
        };
        if !passes {
            let why = format!("{}: {error}", file.display());
            return Err((vec![setting.controller], why));
        }
    }
    Ok(())
}

/// The group of the container that is ours alone, where we are in one: there the first process is
/// the supervisor.
fn container(specification: &Specification, visible: bool) -> Option<PathBuf> {
    if !visible || !(specification.shared || std::process::id() == 1) {
        return None;
    }
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    layout::readable(Controller::Memory, &membership, &mounts)
}

/// Where groups with a controller can be made.
fn find(controller: Controller, visible: bool) -> Result<Place, String> {
    let name = controller.name();
    let nowhere = || format!("no cgroup with the {name} controller is writable here");
    if !visible {
        return Err(nowhere());
    }
    let membership = fs::read_to_string("/proc/self/cgroup").map_err(|_| nowhere())?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|_| nowhere())?;
    let place = layout::place(controller, &membership, &mounts).ok_or_else(nowhere)?;
    let folder = &place.folder;
    let writable = |path: &Path| rustix::fs::access(path, Access::WRITE_OK).is_ok();
    // Whoever moves a process needs the right to in the group that is common to both ends, too.
    if !writable(folder) || !writable(&folder.join(groups::PROCESSES)) {
        return Err(format!(
            "the cgroup {} is not writable for this user",
            folder.display()
        ));
    }
    if place.version == Version::Two {
        enable(controller, folder)?;
    }
    Ok(place)
}

/// Has the groups below one of version 2 have a controller. That's only possible while no process is
/// in the group itself: we are, so we move to one below.
fn enable(controller: Controller, place: &Path) -> Result<(), String> {
    let name = controller.name();
    let lists = |file| {
        let text = fs::read_to_string(place.join(file)).unwrap_or_default();
        text.split_ascii_whitespace().any(|one| one == name)
    };
    if !lists("cgroup.controllers") {
        return Err(format!(
            "the {name} controller is not delegated to the cgroup {}",
            place.display()
        ));
    }
    let file = "cgroup.subtree_control";
    if lists(file) {
        return Ok(());
    }
    let enable = || groups::write(&place.join(file), &format!("+{name}"));
    let failed = |error: &io::Error| {
        if Errno::from_io_error(error) == Some(Errno::BUSY) {
            format!("other processes share the cgroup {}", place.display())
        } else {
            format!("{}: {error}", place.join(file).display())
        }
    };
    match enable() {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::BUSY) => {
            let below = place.join(SUPERVISORS);
            let _ = fs::create_dir(&below);
            join_one(&below)?;
            enable().map_err(|error| {
                // As it was.
                let _ = join_one(place);
                let _ = fs::remove_dir(&below);
                failed(&error)
            })
        }
        other => other.map_err(|error| failed(&error)),
    }
}

/// Moves this process, a child-to-be, into groups.
pub fn join(groups: &[PathBuf]) -> Result<(), String> {
    groups.iter().try_for_each(|group| join_one(group))
}

/// 0 is whoever writes it, whatever its number is to others.
fn join_one(group: &Path) -> Result<(), String> {
    groups::write(&group.join(groups::PROCESSES), "0")
        .map_err(|error| format!("the cgroup {} can't be joined: {error}", group.display()))
}
