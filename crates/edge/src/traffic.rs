//! How much is under way, and how it went: counted by each worker for itself, added up when asked.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::routes::Counters;

/// The upper bounds of [`Counters::histogram`], in microseconds; what is above all comes last.
const BOUNDS: [u64; 12] = [
    1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000,
    5_000_000,
];

/// Releases of one service whose counters are kept.
const RELEASES_KEPT: usize = 8;

/// Whose requests are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Label {
    pub app: String,
    pub environment: String,
    pub service: String,
    pub release: u64,
}

/// Requests of one instance, or of a service where no instance is concerned.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// Never given twice; never 0.
    pub id: u64,
    pub label: Label,
    cells: Box<[Cell]>,
}

/// One worker's figures. Only that worker writes them, so plain loads and stores are enough; its
/// own cache lines keep the others out.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Cell {
    requests: AtomicU64,
    errors: AtomicU64,
    failed: AtomicU64,
    in_flight: AtomicU64,
    microseconds: AtomicU64,
    histogram: [AtomicU64; 13],
}

/// Who made an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The app, or the edge as it was told to.
    App,
    /// The edge, because the app couldn't.
    Edge,
}

fn add(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

impl Traffic {
    fn new(id: u64, label: Label, workers: usize) -> Self {
        Self {
            id,
            label,
            cells: (0..workers).map(|_| Cell::default()).collect(),
        }
    }

    pub(crate) fn enter(&self, worker: usize) {
        add(&self.cells[worker].in_flight, 1);
    }

    pub(crate) fn leave(&self, worker: usize) {
        add(&self.cells[worker].in_flight, 1_u64.wrapping_neg());
    }

    /// Counts an answer whose head is there.
    pub(crate) fn answered(&self, worker: usize, status: u16, origin: Origin, took: Duration) {
        let cell = &self.cells[worker];
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        add(&cell.requests, 1);
        add(&cell.microseconds, took);
        if status >= 500 {
            add(
                if origin == Origin::App {
                    &cell.errors
                } else {
                    &cell.failed
                },
                1,
            );
        }
        let slot = BOUNDS
            .iter()
            .position(|&bound| took <= bound)
            .unwrap_or(BOUNDS.len());
        add(&cell.histogram[slot], 1);
    }

    /// Requests under way, in all workers.
    pub(crate) fn in_flight(&self) -> u64 {
        self.cells
            .iter()
            .map(|cell| cell.in_flight.load(Relaxed))
            .sum()
    }

    fn add_to(&self, counters: &mut Counters) {
        for cell in &self.cells {
            counters.requests += cell.requests.load(Relaxed);
            counters.errors += cell.errors.load(Relaxed);
            counters.failed += cell.failed.load(Relaxed);
            counters.in_flight += cell.in_flight.load(Relaxed);
            counters.microseconds += cell.microseconds.load(Relaxed);
            for (sum, count) in counters.histogram.iter_mut().zip(&cell.histogram) {
                *sum += count.load(Relaxed);
            }
        }
    }
}

/// What tells one [`Traffic`] from another: the label, and the instance where there is one.
pub(crate) type Key = (Label, Option<(String, SocketAddr)>);

/// Every [`Traffic`] there is. Those that are over are folded into one sum for each release.
#[derive(Debug)]
pub(crate) struct Registry {
    workers: usize,
    next: u64,
    open: HashMap<Key, Arc<Traffic>>,
    over: HashMap<Label, Counters>,
}

impl Registry {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers,
            next: 1,
            open: HashMap::new(),
            over: HashMap::new(),
        }
    }

    /// The traffic of that key, the same one as long as it isn't [closed](Self::close).
    pub(crate) fn open(&mut self, key: Key) -> Arc<Traffic> {
        let (next, workers) = (&mut self.next, self.workers);
        let label = key.0.clone();
        Arc::clone(self.open.entry(key).or_insert_with(|| {
            *next += 1;
            Arc::new(Traffic::new(*next - 1, label, workers))
        }))
    }

    /// Takes out what `keep` doesn't want: nothing new comes to it from now on.
    pub(crate) fn retire(&mut self, keep: impl Fn(&Traffic) -> bool) -> Vec<Arc<Traffic>> {
        self.open
            .extract_if(|_, traffic| !keep(traffic))
            .map(|(_, traffic)| traffic)
            .collect()
    }

    /// Adds up what a retired traffic counted.
    pub(crate) fn fold(&mut self, traffic: &Traffic) {
        traffic.add_to(slot(&mut self.over, &traffic.label));
        let mut releases: Vec<u64> = self
            .over
            .keys()
            .filter(|label| {
                Label {
                    release: label.release,
                    ..traffic.label.clone()
                } == **label
            })
            .map(|label| label.release)
            .collect();
        releases.sort_unstable();
        for release in releases.iter().rev().skip(RELEASES_KEPT) {
            self.over.remove(&Label {
                release: *release,
                ..traffic.label.clone()
            });
        }
    }

    /// The figures of each service and release; `retiring` is what is neither open nor folded.
    pub(crate) fn counters<'a>(
        &'a self,
        retiring: impl Iterator<Item = &'a Arc<Traffic>>,
    ) -> Vec<Counters> {
        let mut sums = self.over.clone();
        for traffic in self.open.values().chain(retiring) {
            traffic.add_to(slot(&mut sums, &traffic.label));
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by(|a, b| a.0.cmp(&b.0));
        sums.into_iter().map(|(_, counters)| counters).collect()
    }
}

fn slot<'a>(sums: &'a mut HashMap<Label, Counters>, label: &Label) -> &'a mut Counters {
    sums.entry(label.clone()).or_insert_with(|| Counters {
        app: label.app.clone(),
        environment: label.environment.clone(),
        service: label.service.clone(),
        release: label.release,
        ..Counters::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(release: u64) -> Label {
        Label {
            app: "a".into(),
            environment: "local".into(),
            service: "api".into(),
            release,
        }
    }

    #[test]
    fn answers_are_counted_by_time_and_by_who_made_them() {
        let mut registry = Registry::new(2);
        let traffic = registry.open((label(1), None));
        traffic.enter(0);
        traffic.enter(1);
        traffic.answered(0, 200, Origin::App, Duration::from_micros(1000));
        traffic.answered(1, 500, Origin::App, Duration::from_micros(1001));
        traffic.answered(1, 502, Origin::Edge, Duration::from_secs(6));
        traffic.leave(1);
        let counters = &registry.counters([].iter())[0];
        assert_eq!(
            (
                counters.requests,
                counters.errors,
                counters.failed,
                counters.in_flight
            ),
            (3, 1, 1, 1)
        );
        assert_eq!(counters.histogram, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_release_that_is_over_keeps_its_figures_and_old_ones_are_forgotten() {
        let mut registry = Registry::new(1);
        for release in 1..=10 {
            let traffic = registry.open((label(release), None));
            traffic.answered(0, 200, Origin::App, Duration::ZERO);
            for gone in registry.retire(|_| false) {
                registry.fold(&gone);
            }
        }
        let counters = registry.counters([].iter());
        assert_eq!(
            counters.iter().map(|one| one.release).collect::<Vec<_>>(),
            (3..=10).collect::<Vec<_>>()
        );
        assert!(counters.iter().all(|one| one.requests == 1));
    }
}
