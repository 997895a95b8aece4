//! Streams of events and log lines over the host's socket: how they end, and how they break.

use landfall_api::{Client, ClientError, Lines, path, wire::LogLine};

use super::*;
use crate::testing::Bed;

const WEB: &str = "[service.web]\ncommand = \"bin/web\"";

fn following(environment: &str, deployment: u64, after: u64) -> EventQuery {
    EventQuery {
        after,
        app: Some("shop".to_owned()),
        environment: Some(environment.to_owned()),
        deployment: Some(deployment),
        last: None,
        follow: true,
    }
}

async fn asked(client: &Client, asked: &EventQuery) -> Result<Lines<Event>, ClientError> {
    client.lines(&path::query("/v1/events", asked)).await
}

async fn refused(client: &Client, query: &EventQuery) -> String {
    match asked(client, query).await {
        Err(ClientError::Refused(failure)) => failure.name,
        other => panic!("{other:?}"),
    }
}

async fn all(mut lines: Lines<Event>) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(event) = lines.next().await.unwrap() {
        events.push(event);
    }
    events
}

#[tokio::test]
async fn a_deployment_that_is_not_there_is_not_waited_for() {
    let bed = Bed::new();
    let (client, _serving) = bed.serve();
    bed.begun(&bed.release(WEB, &[]));
    assert_eq!(
        refused(&client, &following("staging", 1, 0)).await,
        "not-deployed"
    );
    assert_eq!(
        refused(&client, &following("local", 2, 0)).await,
        "unknown-deployment"
    );
    let nowhere = EventQuery {
        environment: None,
        ..following("local", 1, 0)
    };
    assert_eq!(refused(&client, &nowhere).await, "bad-request");
    let (app, environment) = (name("shop").unwrap(), name("local").unwrap());
    bed.host
        .ledger
        .remove_environment(&app, &environment)
        .unwrap();
    assert_eq!(
        refused(&client, &following("local", 1, 0)).await,
        "not-deployed"
    );
}

#[tokio::test]
async fn events_of_a_deployment_end_with_its_last() {
    let bed = Bed::new();
    let (client, _serving) = bed.serve();
    let rollout = bed.begun(&bed.release(WEB, &[]));
    let running = asked(&client, &following("local", 1, 0)).await.unwrap();
    bed.finish(&rollout);
    let events = all(running).await;
    let last = events.last().unwrap();
    assert!(matches!(last.kind, EventKind::DeploymentFinished { .. }));
    // It is over, whatever was seen of it already.
    let again = asked(&client, &following("local", 1, 0)).await.unwrap();
    assert_eq!(all(again).await, events);
    let nothing = following("local", 1, last.sequence);
    assert!(
        all(asked(&client, &nothing).await.unwrap())
            .await
            .is_empty()
    );
    let one = EventQuery {
        last: Some(1),
        ..following("local", 1, 0)
    };
    assert_eq!(
        all(asked(&client, &one).await.unwrap()).await,
        events[events.len() - 1..]
    );
}

#[tokio::test]
async fn a_log_that_can_t_be_read_breaks_off() {
    let bed = Bed::new();
    let (client, _serving) = bed.serve();
    let release = bed.release(WEB, &[]);
    let (app, environment) = (&release.content.app.app, &release.content.app.environment);
    let logs = bed.host.home.environment(app, environment).join("logs");
    crate::home::make_folder(&logs).unwrap();
    let place = path::environment("shop", "local", "logs");
    let place = path::query(&place, &LogQuery::default());
    let mut lines: Lines<LogLine> = client.lines(&place).await.unwrap();
    assert_eq!(lines.next().await.unwrap(), None);
    // Where a service's folder should be.
    std::fs::write(logs.join("web"), "").unwrap();
    let error = match client.lines::<LogLine>(&place).await {
        Ok(mut lines) => lines.next().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, ClientError::Broken(_)), "{error:?}");
}
