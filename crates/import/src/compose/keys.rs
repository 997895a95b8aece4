//! Keys that nothing else looks at, and what a file says beside its services.

use std::{collections::BTreeSet, rc::Rc};

use super::{
    context::Context,
    merge::names,
    schema::{self, Fate},
    tree::{At, Item, Map},
    unknown,
};
use crate::RemarkKind;

impl Context<'_> {
    /// Keys that nothing else looks at.
    pub(super) fn check_keys(&mut self, at: usize) {
        let item = Rc::clone(&self.services[at].item);
        let tables = [
            ("", schema::SERVICE),
            ("build", schema::BUILD),
            ("deploy", schema::DEPLOY),
            ("healthcheck", schema::HEALTHCHECK),
        ];
        for (inside, table) in tables {
            let map = if inside.is_empty() {
                item.map()
            } else {
                item.get(inside).and_then(Item::map)
            };
            for (key, place, value) in map.into_iter().flat_map(Map::iter) {
                let path = if inside.is_empty() {
                    key.to_owned()
                } else {
                    format!("{inside}.{key}")
                };
                match schema::fate(table, key) {
                    _ if key.starts_with("x-") || value.is_null() => {}
                    Some(Fate::Taken) => {}
                    // What says the default says nothing.
                    Some(Fate::Said(..)) if value.text() == Some("false") => {}
                    Some(Fate::Said(kind, said)) => self.remark(at, kind, place, &path, said),
                    None => self.remark(
                        at,
                        RemarkKind::Lost,
                        place,
                        &path,
                        unknown::unknown(table, key),
                    ),
                }
            }
        }
    }

    /// Keys of items and of tables deeper down that Compose doesn't know.
    pub(super) fn check_inside(&mut self, at: usize) {
        let item = Rc::clone(&self.services[at].item);
        for (path, known) in unknown::INSIDE {
            let Some(place) = path.split('.').try_fold(&*item, |item, key| item.get(key)) else {
                continue;
            };
            // A list of tables, tables by name, or one table.
            let tables: Vec<&Map> = match (place.list(), place.map()) {
                (Some(items), _) => items.iter().filter_map(Item::map).collect(),
                (_, Some(map)) if *path == "depends_on" => {
                    map.iter().filter_map(|(_, _, item)| item.map()).collect()
                }
                (_, Some(map)) => vec![map],
                _ => continue,
            };
            for (key, place, _) in tables.into_iter().flat_map(Map::iter) {
                if !known.contains(&key) && !key.starts_with("x-") {
                    let said = unknown::unknown_of(known, key);
                    self.remark(at, RemarkKind::Lost, place, &format!("{path}.{key}"), said);
                }
            }
        }
    }

    /// Named volumes that the file doesn't declare, which Compose refuses.
    pub(super) fn check_volumes(&mut self) {
        let model = Rc::clone(&self.model);
        let declared = model.get("volumes");
        let missing: Vec<(usize, String)> = self
            .shared
            .iter()
            .filter(|(name, _)| declared.and_then(|all| all.get(name)).is_none())
            .filter_map(|(name, users)| Some((*users.first()?, name.clone())))
            .collect();
        for (at, name) in missing {
            let place = self.services[at]
                .item
                .get("volumes")
                .map_or_else(|| self.services[at].at.clone(), |item| item.at.clone());
            let said = format!(
                "`{name}` doesn't stand under `volumes` of the file, which Compose refuses"
            );
            self.remark(at, RemarkKind::Note, &place, "volumes", said);
        }
    }

    /// Top-level volumes and networks that mean more than a name.
    pub(super) fn volumes_and_networks(&mut self) {
        let model = Rc::clone(&self.model);
        for (name, _, item) in model
            .get("volumes")
            .and_then(Item::map)
            .into_iter()
            .flat_map(Map::iter)
        {
            let path = |key: &str| format!("volumes.{name}.{key}");
            for (key, at, value) in item.map().into_iter().flat_map(Map::iter) {
                match key {
                    "external" if value.flag() != Some(false) => self.loader.remark(
                        RemarkKind::Changed,
                        at,
                        &path(key),
                        "it exists already, outside of this project; Landfall makes one of its own, into which its data must be copied once",
                    ),
                    "driver" if value.text() == Some("local") => {}
                    "driver" | "driver_opts" => self.loader.remark(
                        RemarkKind::Lost,
                        at,
                        &path(key),
                        "would have chosen where it is kept; Landfall keeps volumes in folders of its own",
                    ),
                    "name" => self.loader.remark(RemarkKind::Note, at, &path(key), "volumes are named by Landfall, by app, environment and service; data of an old one must be copied once"),
                    _ => {}
                }
            }
        }
        for (name, _, item) in model
            .get("networks")
            .and_then(Item::map)
            .into_iter()
            .flat_map(Map::iter)
        {
            for (key, at, value) in item.map().into_iter().flat_map(Map::iter) {
                let (kind, said) = match key {
                    "external" if value.flag() != Some(false) => (
                        RemarkKind::Changed,
                        "it connects to containers of other projects, which an app of Landfall doesn't see; what they ask for goes by a domain or `publish`",
                    ),
                    "internal" if value.flag() != Some(false) => (
                        RemarkKind::Lost,
                        "would have kept its services from reaching the outside",
                    ),
                    "driver" if value.text() == Some("bridge") => continue,
                    "driver" | "driver_opts" | "ipam" | "enable_ipv6" | "enable_ipv4" => (
                        RemarkKind::Lost,
                        "would have set up the network; each app has one of Landfall's",
                    ),
                    _ => continue,
                };
                self.loader
                    .remark(kind, at, &format!("networks.{name}.{key}"), said);
            }
        }
        // Who could not reach whom, and now can.
        let mut apart: Option<At> = None;
        let sets: Vec<(BTreeSet<String>, At)> = self
            .services
            .iter()
            .map(|service| {
                let item = service.item.get("networks").cloned();
                let at = item
                    .as_ref()
                    .map_or_else(|| service.at.clone(), |item| item.at.clone());
                let set = match item {
                    Some(item) => names(item)
                        .map()
                        .into_iter()
                        .flat_map(Map::iter)
                        .map(|(name, _, _)| name.to_owned())
                        .collect(),
                    None => BTreeSet::from(["default".to_owned()]),
                };
                (set, at)
            })
            .collect();
        let common = sets.iter().skip(1).try_fold(
            sets.first().map(|(set, _)| set.clone()).unwrap_or_default(),
            |common, (set, _)| {
                let common: BTreeSet<String> = common.intersection(set).cloned().collect();
                (!common.is_empty()).then_some(common)
            },
        );
        if common.is_none() && sets.len() > 1 {
            apart = sets
                .iter()
                .find(|(set, _)| !set.contains("default"))
                .map(|(_, at)| at.clone());
        }
        if let Some(at) = apart {
            self.loader.remark(RemarkKind::Changed, &at, "networks", "keeps services apart by networks; all services of an app are in one network, and none is reached from outside but by `publish` and domains");
        }
    }
}
