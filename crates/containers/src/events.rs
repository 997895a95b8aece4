//! What happens to containers, as it happens.

use crate::{Engine, EngineError, Labels};
use bollard::{models::EventMessage, query_parameters::EventsOptionsBuilder};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Something happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// What.
    pub kind: EventKind,
    /// The container's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels (and, by the Engine's way, its image's name as `image`).
    pub labels: Labels,
    /// When.
    pub time: SystemTime,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It was started.
    Started,
    /// Its first process ended, with this exit code.
    Died(i64),
    /// The kernel killed a process of it for want of memory.
    OutOfMemory,
    /// It was removed.
    Removed,
}

impl Engine {
    /// What happens to containers with these labels, from `since` on (as far back as the Engine
    /// remembers: some hundred events) or from now on. It is asked for when first polled.
    ///
    /// The stream ends, with an error or without, when the Engine goes away; whoever needs it
    /// connects again, with `since` at the last event seen.
    pub fn events(
        &self,
        labels: &Labels,
        since: Option<SystemTime>,
    ) -> impl Stream<Item = Result<EngineEvent, EngineError>> + Send + Unpin + use<> {
        let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut options = EventsOptionsBuilder::new().filters(&HashMap::from([
            ("type", words(&["container"])),
            ("event", words(&["start", "die", "oom", "destroy"])),
            ("label", crate::container::filters(labels)),
        ]));
        if let Some(passed) = since.and_then(|since| since.duration_since(UNIX_EPOCH).ok()) {
            let text = format!("{}.{:09}", passed.as_secs(), passed.subsec_nanos());
            options = options.since(&text);
        }
        let engine = self.clone();
        let events = self.docker().events(Some(options.build()));
        let events = events.map_err(move |error| engine.failed("following events", None, error));
        let events = events.try_filter_map(async |message| Ok(understood(message)));
        events.boxed()
    }
}

fn understood(message: EventMessage) -> Option<EngineEvent> {
    let actor = message.actor?;
    let mut labels: Labels = actor.attributes.unwrap_or_default().into_iter().collect();
    let exit_code = labels.remove("exitCode").and_then(|code| code.parse().ok());
    let kind = match message.action?.as_str() {
        "start" => EventKind::Started,
        "die" => EventKind::Died(exit_code?),
        "oom" => EventKind::OutOfMemory,
        "destroy" => EventKind::Removed,
        _ => return None,
    };
    let passed = message.time_nano.and_then(|time| u64::try_from(time).ok());
    Some(EngineEvent {
        kind,
        id: actor.id?,
        name: labels.remove("name").unwrap_or_default(),
        labels,
        time: UNIX_EPOCH + Duration::from_nanos(passed.unwrap_or(0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::EventActor;

    #[test]
    fn an_event_says_what_happened_to_which() {
        let message = |action: &str| EventMessage {
            action: Some(action.to_owned()),
            actor: Some(EventActor {
                id: Some("abc".to_owned()),
                attributes: Some(
                    [("name", "shop"), ("exitCode", "137"), ("landfall.app", "a")]
                        .map(|(key, value)| (key.to_owned(), value.to_owned()))
                        .into(),
                ),
            }),
            time_nano: Some(1_500_000_000),
            ..EventMessage::default()
        };
        let died = understood(message("die")).unwrap();
        assert_eq!(died.kind, EventKind::Died(137));
        assert_eq!((died.id.as_str(), died.name.as_str()), ("abc", "shop"));
        assert_eq!(died.labels.len(), 1);
        assert_eq!(died.time, UNIX_EPOCH + Duration::from_millis(1500));
        assert!(understood(message("exec_start: sh")).is_none());
    }
}
