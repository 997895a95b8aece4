//! Which groups a specification needs, and what is set in them.

use std::path::{Path, PathBuf};

use landfall_supervise::{
    groups::PREFIX,
    specification::{Process, Specification},
};

use super::layout::{Controller, Place, Version};

/// What to do where the system refuses a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The limit can't be kept.
    Fails,
    /// It would have been better, but isn't needed.
    Passes,
    /// Version 1 refuses more processor time than a group above has: that one's limit holds then.
    PassesWhereOuterIsTighter,
}

/// A file of a group and what is written to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub controller: Controller,
    pub file: &'static str,
    pub value: String,
    pub refused: Refused,
}

/// A group to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub folder: PathBuf,
    pub controllers: Vec<Controller>,
    pub settings: Vec<Setting>,
}

/// The groups that a process is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// All that it joins.
    pub joins: Vec<PathBuf>,
    /// The one that counts its memory.
    pub memory: Option<PathBuf>,
    /// Those in which there is nobody else.
    pub own: Vec<PathBuf>,
}

/// Everything that is made for an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Outer ones before those in them.
    pub groups: Vec<Group>,
    /// The outermost.
    pub outermost: Vec<PathBuf>,
    /// In the specification's order.
    pub processes: Vec<Membership>,
}

/// What is asked of a group.
#[derive(Clone, Copy)]
struct Asked {
    memory: Option<u64>,
    cpu: Option<u32>,
}

impl Asked {
    /// Only what the controllers of a hierarchy are for.
    fn by(self, controllers: &[Controller]) -> Self {
        let has = |controller| controllers.contains(&controller);
        Self {
            memory: self.memory.filter(|_| has(Controller::Memory)),
            cpu: self.cpu.filter(|_| has(Controller::Cpu)),
        }
    }

    const fn anything(self) -> bool {
        self.memory.is_some() || self.cpu.is_some()
    }
}

fn of_process(process: &Process, whole: Asked) -> Asked {
    Asked {
        memory: process.memory,
        // Version 1 refuses more than the group above has.
        cpu: process
            .cpu
            .map(|cpu| whole.cpu.map_or(cpu, |whole| cpu.min(whole))),
    }
}

/// What is to be made below the places where groups may be made, under the instance's name.
pub fn plan(
    specification: &Specification,
    name: &str,
    memory: Option<&Place>,
    cpu: Option<&Place>,
) -> Plan {
    let mut hierarchies: Vec<(&Place, Vec<Controller>)> = Vec::new();
    for (place, controller) in [(memory, Controller::Memory), (cpu, Controller::Cpu)] {
        let Some(place) = place else { continue };
        match hierarchies.iter_mut().find(|(other, _)| *other == place) {
            Some((_, controllers)) => controllers.push(controller),
            None => hierarchies.push((place, vec![controller])),
        }
    }
    let mut plan = Plan {
        processes: vec![Membership::default(); specification.processes.len()],
        ..Plan::default()
    };
    for (place, controllers) in hierarchies {
        plan.add(specification, name, place, controllers);
    }
    plan
}

impl Plan {
    fn add(
        &mut self,
        specification: &Specification,
        name: &str,
        place: &Place,
        controllers: Vec<Controller>,
    ) {
        let whole = Asked {
            memory: specification.memory,
            cpu: specification.cpu,
        }
        .by(&controllers);
        let each: Vec<Asked> = specification
            .processes
            .iter()
            .map(|process| of_process(process, whole).by(&controllers))
            .collect();
        let within = each.iter().any(|asked| asked.anything());
        if !whole.anything() && !within {
            return;
        }
        let outer = place.folder.join(name);
        let mut settings = settings(whole, place.version, false);
        match place.version {
            // Before kernel 5.11 what is used below may not count above.
            Version::One if controllers.contains(&Controller::Memory) => settings.insert(
                0,
                Setting {
                    controller: Controller::Memory,
                    file: "memory.use_hierarchy",
                    value: "1".to_owned(),
                    refused: Refused::Passes,
                },
            ),
            Version::Two if within => {
                settings.extend(controllers.iter().map(|controller| Setting {
                    controller: *controller,
                    file: "cgroup.subtree_control",
                    value: format!("+{}", controller.name()),
                    refused: Refused::Fails,
                }));
            }
            _ => {}
        }
        self.outermost.push(outer.clone());
        self.make(outer.clone(), &controllers, settings);
        // In version 2, no process may be in a group that has groups with controllers below it.
        let rest = if place.version == Version::Two && within {
            outer.join("others")
        } else {
            outer.clone()
        };
        let mut rest_needed = false;
        for (index, (asked, process)) in each.iter().zip(&specification.processes).enumerate() {
            let folder = if asked.anything() {
                let folder = outer.join(format!("{index}-{}", plain(&process.name)));
                let settings = self::settings(*asked, place.version, true);
                self.make(folder.clone(), &controllers, settings);
                self.processes[index].own.push(folder.clone());
                folder
            } else if whole.anything() {
                rest_needed = true;
                rest.clone()
            } else {
                continue;
            };
            let membership = &mut self.processes[index];
            if controllers.contains(&Controller::Memory)
                && (asked.memory.is_some() || whole.memory.is_some())
            {
                membership.memory = Some(folder.clone());
            }
            membership.joins.push(folder);
        }
        if rest_needed && rest != outer {
            self.make(rest, &controllers, Vec::new());
        }
    }

    fn make(&mut self, folder: PathBuf, controllers: &[Controller], settings: Vec<Setting>) {
        self.groups.push(Group {
            folder,
            controllers: controllers.to_vec(),
            settings,
        });
    }

    /// The groups that a process needs, outer ones first.
    pub fn needed(&self, process: &Membership) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(|group| {
            let mut joins = process.joins.iter();
            joins.any(|join| join.starts_with(&group.folder))
        })
    }
}

/// What is written for what is asked; whether the group is that of one process.
fn settings(asked: Asked, version: Version, single: bool) -> Vec<Setting> {
    let mut all = Vec::new();
    let mut set = |controller, file, value: String, refused| {
        all.push(Setting {
            controller,
            file,
            value,
            refused,
        });
    };
    if let Some(limit) = asked.memory {
        let limit = limit.to_string();
        let (one, needed, wished) = (Controller::Memory, Refused::Fails, Refused::Passes);
        // What is swapped out counts too: else the limit means slowness instead of an end.
        match version {
            Version::One => {
                set(one, "memory.limit_in_bytes", limit.clone(), needed);
                set(one, "memory.memsw.limit_in_bytes", limit, wished);
                set(one, "memory.oom_control", "0".to_owned(), wished);
            }
            Version::Two => {
                set(one, "memory.max", limit, needed);
                set(one, "memory.swap.max", "0".to_owned(), wished);
                if single {
                    // A process goes with all it has started, as it does where we watch.
                    set(one, "memory.oom.group", "1".to_owned(), wished);
                }
            }
        }
    }
    if let Some(cpu) = asked.cpu {
        let (quota, period) = quota(cpu);
        let one = Controller::Cpu;
        match version {
            Version::One => {
                let outer = Refused::PassesWhereOuterIsTighter;
                set(one, "cpu.cfs_period_us", period.to_string(), Refused::Fails);
                set(one, "cpu.cfs_quota_us", quota.to_string(), outer);
            }
            Version::Two => set(one, "cpu.max", format!("{quota} {period}"), Refused::Fails),
        }
    }
    all
}

/// Microseconds in each period, and the period: 100 ms, but for so little that it would be less
/// than the millisecond that the system takes at least.
fn quota(thousandths: u32) -> (u64, u64) {
    let thousandths = u64::from(thousandths.max(1));
    if thousandths >= 10 {
        (thousandths * 100, 100_000)
    } else {
        (thousandths * 1000, 1_000_000)
    }
}

/// A name as a folder's.
fn plain(name: &str) -> String {
    name.chars()
        .take(40)
        .map(|character| {
            if character.is_ascii_alphanumeric() || character == '-' || character == '_' {
                character
            } else {
                '_'
            }
        })
        .collect()
}

/// The name of an instance's outermost groups. The place of its specification is in it, since another
/// place's instance may have the same name.
pub fn name(instance: &str, place: &Path) -> String {
    // FNV-1a: the same in each version of this program, which a hasher of std need not be.
    let hash = place
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .chain(instance.as_bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{PREFIX}{}-{hash:016x}", plain(instance))
}

#[cfg(test)]
mod tests;
