//! Processes whose supervisor died without them: found by the instance token in their environment.
//!
//! Two hosts on one machine may have instances of the same name, so the supervisor's folder counts too.

use std::{path::Path, time::Duration};

use landfall_supervise::{
    groups,
    specification::{CONTROL_VARIABLE, files},
    tree,
};
use rustix::process::{Pid, Signal, kill_process};

/// The processes of an instance, by their environment. Those of other users can't be read and aren't ours.
pub fn of_instance(instance: &str, folder: &Path) -> Vec<u32> {
    let control = folder.join(files::CONTROL).display().to_string();
    let mut processes = tree::of_instance(instance);
    processes
        .retain(|process| tree::variable(*process, CONTROL_VARIABLE).as_deref() == Some(&control));
    processes
}

/// Ends the processes of an instance with SIGKILL, until none is left; says how many there were.
pub fn sweep(instance: &str, folder: &Path) -> usize {
    let mut ended = 0;
    // Where the supervisor had groups of its own, nobody in them escapes, whatever it did to its
    // environment.
    groups::end_left(folder, Duration::from_secs(1));
    // A process may fork between the look and the signal, so look again; each round ends what it saw.
    for _ in 0..20 {
        let processes = of_instance(instance, folder);
        if processes.is_empty() {
            break;
        }
        for process in processes {
            let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) else {
                continue;
            };
            // It may have ended by itself meanwhile, which is what we want.
            if kill_process(process, Signal::KILL).is_ok() {
                ended += 1;
            }
        }
    }
    ended
}
