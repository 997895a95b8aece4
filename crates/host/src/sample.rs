//! Use of processor and memory, sampled by the process trees of what runs.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use landfall_api::wire::Usage;
use landfall_edge::routes::Counters;
use landfall_supervise::tree;

/// The last sample of each process, by instance and name.
#[derive(Debug, Default)]
pub struct Samples {
    last: Mutex<BTreeMap<(String, String), Sample>>,
    traffic: Mutex<BTreeMap<String, Traffic>>,
}

/// The requests of a service so far, and how many a second came between the two looks before.
#[derive(Debug, Clone, Copy)]
struct Traffic {
    taken: Instant,
    requests: u64,
    per_second: f64,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    taken: Instant,
    process: u32,
    ticks: u64,
    usage: Usage,
}

impl Samples {
    /// Samples one process and everything below it; what it used since the sample before.
    pub fn take(&self, instance: &str, name: &str, process: u32) -> Usage {
        let processes = tree::descendants(process);
        let memory = tree::memory(&processes);
        let ticks = processes
            .iter()
            .filter_map(|process| tree::status(*process))
            .map(|status| status.ticks)
            .sum::<u64>();
        let taken = Instant::now();
        let key = (instance.to_owned(), name.to_owned());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last
            .get(&key)
            .copied()
            .filter(|before| before.process == process);
        let cpu = match before {
            // Two looks close to each other say nothing; the one before stands.
            Some(before) if taken.duration_since(before.taken).as_millis() < 500 => {
                return Usage {
                    memory,
                    ..before.usage
                };
            }
            Some(before) => {
                let seconds = taken.duration_since(before.taken).as_secs_f64();
                let used = ticks.saturating_sub(before.ticks) as f64 / ticks_per_second();
                100.0 * used / seconds
            }
            None => 0.0,
        };
        let usage = Usage { cpu, memory };
        last.insert(
            key,
            Sample {
                taken,
                process,
                ticks,
                usage,
            },
        );
        usage
    }

    /// Samples the requests of a service; how many a second came since the sample before.
    pub fn requests(&self, counters: &Counters) -> f64 {
        let Counters {
            app,
            environment,
            service,
            release,
            requests,
            ..
        } = counters;
        let key = format!("{app}.{environment}.{service}.{release}");
        let taken = Instant::now();
        let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        let per_second = match traffic.get(&key) {
            Some(before) if taken.duration_since(before.taken).as_millis() < 500 => {
                return before.per_second;
            }
            // Fewer than before: the edge has started anew and counts from zero.
            Some(before) if *requests >= before.requests => {
                (requests - before.requests) as f64
                    / taken.duration_since(before.taken).as_secs_f64()
            }
            _ => 0.0,
        };
        traffic.insert(
            key,
            Traffic {
                taken,
                requests: *requests,
                per_second,
            },
        );
        per_second
    }

    /// Forgets the instances that aren't among these.
    pub fn keep(&self, instances: &[String]) {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(instance, _), _| instances.contains(instance));
    }
}

fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

/// The resident memory of this process in bytes, shared pages included: what `ps` says.
pub fn own_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_counted_once() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        // It grows while it is being loaded: two looks agree once that is over.
        let deadline = Instant::now() + std::time::Duration::from_secs(20);
        let (sampled, single) = loop {
            let sampled = Samples::default().take("one", "sleep", child.id()).memory;
            let single = tree::memory(&[child.id()]);
            if sampled == single && single > 0 || Instant::now() > deadline {
                break (sampled, single);
            }
        };
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(sampled, single);
        assert!(single > 0);
    }

    #[test]
    fn requests_a_second_begin_at_none_and_survive_a_new_edge() {
        let samples = Samples::default();
        let counters = |requests| Counters {
            requests,
            ..Counters::default()
        };
        assert_eq!(samples.requests(&counters(100)), 0.0);
        // Too close to the look before to say anything.
        assert_eq!(samples.requests(&counters(200)), 0.0);
    }
}
