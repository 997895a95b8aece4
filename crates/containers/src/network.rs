//! Networks: a bridge for each app, with fixed addresses to give away.

use crate::{Engine, EngineError, Labels, Object, Removal, label};
use bollard::{
    models::{Ipam, IpamConfig, Network as EngineNetwork, NetworkCreateRequest},
    query_parameters::ListNetworksOptionsBuilder,
};
use std::{collections::HashMap, net::Ipv4Addr};

mod subnet;

pub use subnet::{NotASubnet, Subnet};

/// A network as the Engine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub subnet: Subnet,
    /// This machine's own address on it.
    pub gateway: Ipv4Addr,
    /// Its labels.
    pub labels: Labels,
}

impl Network {
    /// The fixed address of this number, from 0 on; none: there are no more. Half of the subnet is
    /// for fixed addresses, the other half for those that the Engine chooses.
    pub fn fixed_address(&self, number: u32) -> Option<Ipv4Addr> {
        let (fixed, _) = self.subnet.halves()?;
        // The subnet's own address and the gateway come first.
        fixed.address(number.checked_add(2)?)
    }
}

impl Engine {
    /// Makes sure that there is a network of this name, a bridge of its own. The subnet is one that
    /// the Engine would have taken, else one of 10.209.N.0/24; it is said to the Engine, which
    /// gives fixed addresses on such networks only.
    ///
    /// One of the same name that isn't of the same host: [`EngineError::Exists`].
    pub async fn ensure_network(
        &self,
        name: &str,
        labels: &Labels,
    ) -> Result<Network, EngineError> {
        let _one_at_a_time = self.networks_lock().lock().await;
        let mut taken = Vec::new();
        for network in self.all_networks(&HashMap::new()).await? {
            if network.name.as_deref() == Some(name) {
                let found = understood(network);
                let labels_found = found.as_ref().map(|found| found.labels.clone());
                return match found {
                    Some(found) if found.labels.get(label::HOME) == labels.get(label::HOME) => {
                        Ok(found)
                    }
                    _ => Err(EngineError::Exists {
                        object: Object::Network,
                        name: name.to_owned(),
                        labels: labels_found.unwrap_or_default(),
                        running: true,
                    }),
                };
            }
            taken.extend(subnets(&network));
        }
        let routes = tokio::fs::read_to_string("/proc/net/route").await;
        taken.extend(subnet::of_routes(&routes.unwrap_or_default()));
        let pools = &self.known().await?.address_pools;
        let doing = format!("making the network {name}");
        let mut last = None;
        for subnet in subnet::candidates(pools) {
            if taken.iter().any(|other| other.overlaps(&subnet)) {
                continue;
            }
            let request = request(name, subnet, labels);
            match self
                .call(&doing, None, self.docker().create_network(request))
                .await
            {
                Ok(_) => {
                    let made = self.network(name).await?;
                    return made.ok_or_else(|| EngineError::Missing {
                        object: Object::Network,
                        name: name.to_owned(),
                    });
                }
                // Taken since, or by something that isn't seen from here.
                Err(EngineError::Refused {
                    message,
                    code,
                    doing,
                }) if message.to_lowercase().contains("overlap") => {
                    last = Some(EngineError::Refused {
                        doing,
                        code,
                        message,
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| EngineError::Refused {
            doing,
            code: 0,
            message: "no subnet is free; `docker network prune` removes unused networks".to_owned(),
        }))
    }

    /// Looks at a network.
    pub async fn network(&self, name: &str) -> Result<Option<Network>, EngineError> {
        let filter = HashMap::from([("name", vec![name.to_owned()])]);
        let listed = self.all_networks(&filter).await?;
        // The Engine also gives those that only contain the name.
        let named = listed
            .into_iter()
            .find(|network| network.name.as_deref() == Some(name));
        Ok(named.and_then(understood))
    }

    /// All networks with these labels.
    pub async fn networks(&self, labels: &Labels) -> Result<Vec<Network>, EngineError> {
        let filter = HashMap::from([("label", crate::container::filters(labels))]);
        let listed = self.all_networks(&filter).await?;
        Ok(listed.into_iter().filter_map(understood).collect())
    }

    /// Removes a network. One that a container is on stays.
    pub async fn remove_network(&self, name: &str) -> Result<Removal, EngineError> {
        let doing = format!("removing the network {name}");
        let about = Some((Object::Network, name));
        let removed = self.docker().remove_network(name);
        crate::image::removal(self.call(&doing, about, removed).await)
    }

    async fn all_networks(
        &self,
        filters: &HashMap<&str, Vec<String>>,
    ) -> Result<Vec<EngineNetwork>, EngineError> {
        let options = ListNetworksOptionsBuilder::new().filters(filters).build();
        let listed = self.docker().list_networks(Some(options));
        self.call("listing networks", None, listed).await
    }
}

fn subnets(network: &EngineNetwork) -> Vec<Subnet> {
    let configs = network
        .ipam
        .as_ref()
        .and_then(|ipam| ipam.config.as_deref());
    configs
        .unwrap_or_default()
        .iter()
        .filter_map(|config| config.subnet.as_deref()?.parse().ok())
        .collect()
}

fn understood(network: EngineNetwork) -> Option<Network> {
    let subnet = *subnets(&network).first()?;
    let gateway = network
        .ipam
        .and_then(|ipam| ipam.config)
        .unwrap_or_default()
        .into_iter()
        .find_map(|config| config.gateway?.parse().ok());
    Some(Network {
        id: network.id?,
        name: network.name?,
        subnet,
        gateway: gateway.or_else(|| subnet.address(1))?,
        labels: network.labels.unwrap_or_default().into_iter().collect(),
    })
}

fn request(name: &str, subnet: Subnet, labels: &Labels) -> NetworkCreateRequest {
    NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some("bridge".to_owned()),
        ipam: Some(Ipam {
            config: Some(vec![IpamConfig {
                subnet: Some(subnet.to_string()),
                // An address that is kept for a backing service isn't given to another container
                // while that doesn't run.
                ip_range: subnet.halves().map(|(_, chosen)| chosen.to_string()),
                gateway: subnet.address(1).map(|gateway| gateway.to_string()),
                ..IpamConfig::default()
            }]),
            ..Ipam::default()
        }),
        labels: Some(labels.clone().into_iter().collect()),
        ..NetworkCreateRequest::default()
    }
}
