//! A network for each app: names, fixed addresses, and reached from this machine.

use crate::support::{self, until};
use landfall_containers::{Attachment, ContainerSpecification, EngineError, Labels, Removal};
use std::net::{Ipv4Addr, TcpStream};

fn on(network: &str, aliases: &[&str], address: Option<Ipv4Addr>) -> Option<Attachment> {
    Some(Attachment {
        network: network.to_owned(),
        aliases: support::words(aliases),
        address,
    })
}

#[test]
fn containers_find_each_other_by_name_and_keep_their_address() {
    support::with("network", async |place| {
        let name = place.name("network");
        let network = place
            .engine
            .ensure_network(&name, &place.labels())
            .await
            .unwrap();
        let again = place
            .engine
            .ensure_network(&name, &place.labels())
            .await
            .unwrap();
        assert_eq!(network, again);
        assert!(network.subnet.contains(network.gateway));
        let fixed = network.fixed_address(3).unwrap();
        let database = ContainerSpecification {
            attachment: on(&name, &["database"], Some(fixed)),
            ..place.shell("database", "exec nc -ll -p 5432 -e echo hello")
        };
        place.started(&database).await;
        let found = place
            .engine
            .container(&database.name)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.address(&name), Some(fixed));
        until("it is reached from here", async || {
            TcpStream::connect((fixed, 5432)).ok()
        })
        .await;
        let asking = ContainerSpecification {
            attachment: on(&name, &[], None),
            ..place.shell("asking", "exec sleep 1000")
        };
        let (_, output) = place
            .ran(&ContainerSpecification {
                command: support::words(&["/bin/nslookup", "database", "127.0.0.11"]),
                ..asking.clone()
            })
            .await;
        assert!(output.contains(&fixed.to_string()), "{output}");

        // What the Engine chooses never is a fixed one.
        place.started(&asking).await;
        let found = place.engine.container(&asking.name).await.unwrap().unwrap();
        let chosen = found.address(&name).unwrap();
        let mut numbers = (0..100_000).map_while(|number| network.fixed_address(number));
        assert!(!numbers.any(|fixed| fixed == chosen), "{chosen}");

        let kept = place.engine.remove_network(&name).await.unwrap();
        assert!(matches!(kept, Removal::InUse(_)), "{kept:?}");
        place.engine.remove(&asking.name, true).await.unwrap();
        place.engine.remove(&database.name, true).await.unwrap();
        assert_eq!(
            place.engine.remove_network(&name).await.unwrap(),
            Removal::Done
        );
        assert_eq!(
            place.engine.remove_network(&name).await.unwrap(),
            Removal::Missing
        );
        assert_eq!(place.engine.network(&name).await.unwrap(), None);
    });
}

#[test]
fn asked_for_twice_at_once_there_is_one() {
    support::with("network-twice", async |place| {
        let name = place.name("network");
        let labels = place.labels();
        let one = || place.engine.ensure_network(&name, &labels);
        let (first, second, third) = tokio::join!(one(), one(), one());
        assert_eq!(first.unwrap(), second.unwrap());
        assert!(third.is_ok());
        assert_eq!(place.engine.networks(&labels).await.unwrap().len(), 1);
    });
}

#[test]
fn a_foreign_network_of_the_same_name_is_not_taken() {
    support::with("network-foreign", async |place| {
        let name = place.name("network");
        place
            .engine
            .ensure_network(&name, &place.labels())
            .await
            .unwrap();
        let others = Labels::from([("landfall.home".to_owned(), "/another".to_owned())]);
        let error = place
            .engine
            .ensure_network(&name, &others)
            .await
            .unwrap_err();
        assert_eq!(error.name(), "network-exists");
        let EngineError::Exists { labels, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(labels["landfall.home"], place.home());
        // One whose name only contains it is another one.
        let part = &name[..name.len() - 1];
        assert_eq!(place.engine.network(part).await.unwrap(), None);
    });
}
