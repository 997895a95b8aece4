//! How an environment is as a whole, from what its live instances say. Pure.

use landfall_api::wire::Condition;
use landfall_app::{Name, model::Service};
use landfall_ledger::{InstanceRow, InstanceState};
use landfall_release::{Release, ReleaseNumber};

use crate::{instance::View, runtime};

/// How many instances of a service should run.
pub fn expected(service: &Service) -> u32 {
    match runtime::runs(service) {
        true => service.replicas.initial(),
        false => 0,
    }
}

/// The condition of an environment whose live release runs. `view` says what is known of an instance.
pub fn condition(
    release: &Release,
    rows: &[InstanceRow],
    view: impl Fn(&str) -> Option<View>,
) -> Condition {
    let services = &release.content.app.services;
    whole(services.iter().map(|(name, service)| Doing {
        // What the edge serves by itself needs no instance.
        by_edge: service.static_files.is_some() && !runtime::runs(service),
        ..Doing::of(name, release.number, expected(service), rows, &view)
    }))
}

/// How a service does.
#[derive(Debug, Clone, Copy, Default)]
struct Doing {
    expected: usize,
    healthy: usize,
    ready: usize,
    by_edge: bool,
}

impl Doing {
    /// Only what is live counts: what is starting gets no requests yet, and what drains none any more.
    fn of(
        name: &Name,
        live: ReleaseNumber,
        expected: u32,
        rows: &[InstanceRow],
        view: impl Fn(&str) -> Option<View>,
    ) -> Self {
        let own = rows.iter().filter(|row| {
            row.service == *name && row.release == live && row.state == InstanceState::Live
        });
        let states: Vec<_> = own
            .filter_map(|row| match view(&row.id) {
                Some(View::Alive(state)) if state.ended.is_none() => Some(state),
                _ => None,
            })
            .collect();
        Self {
            expected: expected as usize,
            healthy: states.iter().filter(|state| state.healthy).count(),
            ready: states.iter().filter(|state| state.ready).count(),
            by_edge: false,
        }
    }
}

fn whole(services: impl Iterator<Item = Doing> + Clone) -> Condition {
    let healthy = |doing: Doing| doing.healthy >= doing.expected;
    let serves = |doing: Doing| doing.ready > 0 || doing.by_edge;
    if services.clone().all(healthy) {
        Condition::Healthy
    } else if services.clone().any(serves) {
        Condition::Degraded
    } else {
        Condition::Down
    }
}

#[cfg(test)]
mod tests {
    use landfall_supervise::state::{Phase, State};

    use super::*;

    const LIVE: ReleaseNumber = ReleaseNumber(2);

    fn row(service: &str, replica: u32, release: u64, state: InstanceState) -> InstanceRow {
        InstanceRow {
            id: format!("{service}.{release}.{replica}"),
            app: "shop".parse().unwrap(),
            environment: "local".parse().unwrap(),
            release: ReleaseNumber(release),
            service: service.parse().unwrap(),
            replica,
            port: None,
            folder: "/nowhere".into(),
            address: None,
            boot_id: String::new(),
            state,
            created_at: 0,
        }
    }

    fn state(ready: bool, healthy: bool) -> Box<State> {
        Box::new(State {
            version: 1,
            sequence: 1,
            instance: String::new(),
            supervisor: 1,
            started_at: 0,
            phase: Phase::Running,
            ready,
            healthy,
            reason: None,
            processes: vec![],
            notes: vec![],
            dropped: 0,
            ended: None,
        })
    }

    fn well(_: &str) -> Option<View> {
        Some(View::Alive(state(true, true)))
    }

    fn of(
        expected: &[(&str, u32)],
        rows: &[InstanceRow],
        view: impl Fn(&str) -> Option<View>,
    ) -> Condition {
        whole(
            expected
                .iter()
                .map(|(name, count)| Doing::of(&name.parse().unwrap(), LIVE, *count, rows, &view))
                .collect::<Vec<_>>()
                .into_iter(),
        )
    }

    #[test]
    fn only_live_instances_of_the_live_release_count() {
        use InstanceState::{Draining, Live, Starting, Stopped};
        let web = [("web", 1)];
        assert_eq!(
            of(&web, &[row("web", 1, 2, Live)], well),
            Condition::Healthy
        );
        for other in [
            row("web", 1, 1, Draining),
            row("web", 1, 1, Live),
            row("web", 1, 3, Starting),
            row("web", 1, 2, Stopped),
        ] {
            let shown = format!("{other:?}");
            assert_eq!(of(&web, &[other], well), Condition::Down, "{shown}");
        }
        assert_eq!(of(&web, &[], well), Condition::Down, "no instance at all");
    }

    #[test]
    fn an_instance_whose_supervisor_is_gone_counts_no_more() {
        let rows = [row("web", 1, 2, InstanceState::Live)];
        let gone = |_: &str| Some(View::Gone(Some(state(true, true))));
        assert_eq!(of(&[("web", 1)], &rows, gone), Condition::Down);
        assert_eq!(of(&[("web", 1)], &rows, |_| None), Condition::Down);
    }

    #[test]
    fn one_service_too_many_does_not_make_up_for_another() {
        let live = |service, replica| row(service, replica, 2, InstanceState::Live);
        let expected = [("web", 1), ("worker", 1)];
        let rows = [live("web", 1), live("web", 2)];
        assert_eq!(of(&expected, &rows, well), Condition::Degraded);
        let rows = [live("web", 1), live("worker", 1)];
        assert_eq!(of(&expected, &rows, well), Condition::Healthy);
        assert_eq!(of(&expected, &[], well), Condition::Down);
    }

    #[test]
    fn what_is_ready_and_not_healthy_is_degraded() {
        let rows = [row("web", 1, 2, InstanceState::Live)];
        let ready = |_: &str| Some(View::Alive(state(true, false)));
        assert_eq!(of(&[("web", 1)], &rows, ready), Condition::Degraded);
        let neither = |_: &str| Some(View::Alive(state(false, false)));
        assert_eq!(of(&[("web", 1)], &rows, neither), Condition::Down);
    }

    #[test]
    fn a_site_that_the_edge_serves_needs_no_instance() {
        let site = Doing {
            by_edge: true,
            ..Doing::default()
        };
        let down = Doing {
            expected: 1,
            ..Doing::default()
        };
        assert_eq!(whole([site].into_iter()), Condition::Healthy);
        assert_eq!(whole([site, down].into_iter()), Condition::Degraded);
        assert_eq!(whole([down].into_iter()), Condition::Down);
    }
}
