//! Kept folders and databases of a Dokku server.

use landfall_app::{Name, model::BackingKind};

use super::{
    note,
    setup::{Script, plain},
};

impl Script<'_, '_> {
    pub(super) fn storage(&mut self) {
        let place = self.place;
        let (dokku, service) = (place.dokku.as_str(), place.service);
        for (volume, facts) in &service.volumes {
            let entry = entry(dokku, volume);
            let owner = service.user.unwrap_or(1000).to_string();
            self.say(&format!(
                "{volume}: its files stand in /var/lib/dokku/data/storage/{entry} of the server."
            ));
            self.dokku("volumes", &["storage:create", &entry, "--chown", &owner]);
            let unless = format!(
                "dokku storage:list {dokku} --format json | grep -q '\"{}\"' || ",
                facts.path
            );
            if !plain(&facts.path) {
                let said = format!(
                    "`{}` can't go through Dokku's arguments: mount it on the server by hand",
                    facts.path
                );
                note(
                    self.notes,
                    place.setting(&format!("volumes.{volume}")),
                    said,
                );
                continue;
            }
            self.run(
                &unless,
                "volumes",
                &[
                    "storage:mount",
                    dokku,
                    &entry,
                    "--container-dir",
                    &facts.path,
                ],
            );
        }
    }

    /// Databases of Dokku's plugins. Linked twice is an error.
    pub(super) fn backing(&mut self) {
        let place = self.place;
        let dokku = place.dokku.as_str();
        for (name, variable) in &place.service.uses {
            let Some(facts) = place.app.backing.get(name) else {
                continue;
            };
            let plugin = match &facts.kind {
                _ if !facts.own() => {
                    note(
                        self.notes,
                        place.setting(&format!("uses.{name}")),
                        format!("is somebody else's: set {variable} by config:set"),
                    );
                    continue;
                }
                BackingKind::Postgres => "postgres",
                BackingKind::Redis => "redis",
                BackingKind::Image(image) => {
                    note(
                        self.notes,
                        format!("backing.{name}"),
                        format!(
                            "there is no plugin for {image}: run it as an app, and set {variable} by config:set"
                        ),
                    );
                    continue;
                }
            };
            let it = format!("{}-{name}", place.app.app);
            self.say(&format!(
                "{name}: sudo dokku plugin:install https://github.com/dokku/dokku-{plugin}.git"
            ));
            let mut words = vec![format!("{plugin}:create"), it.clone()];
            if let Some(version) = &facts.version {
                words.extend(["--image-version".to_owned(), version.clone()]);
            }
            if let Some(memory) = facts.memory {
                words.extend(["--memory".to_owned(), (memory.bytes() >> 20).to_string()]);
            }
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            self.run(&format!("exists {plugin}:exists {it} || "), "uses", &words);
            let Some(alias) = variable.strip_suffix("_URL") else {
                note(
                    self.notes,
                    place.setting(&format!("uses.{name}")),
                    format!("Dokku's variables end with _URL: set {variable} by config:set"),
                );
                continue;
            };
            let (link, linked) = (format!("{plugin}:link"), format!("{plugin}:linked"));
            let unless = format!("exists {linked} {it} {dokku} || ");
            self.run(
                &unless,
                "uses",
                &[&link, &it, dokku, "--alias", alias, "--no-restart"],
            );
            if !facts.settings.is_empty() || !facts.extensions.is_empty() || !facts.init.is_empty()
            {
                note(
                    self.notes,
                    format!("backing.{name}.settings"),
                    format!(
                        "settings, extensions and scripts of the first start are done by hand, in `dokku {plugin}:connect {it}`"
                    ),
                );
            }
        }
    }
}

/// The name of a storage entry: unique on the server, and at most 45 letters.
fn entry(dokku: &str, volume: &Name) -> String {
    let name = format!("{dokku}-{volume}");
    match name.len() <= 45 {
        true => name,
        false => {
            use sha2::{Digest as _, Sha256};
            let sum = Sha256::digest(name.as_bytes());
            let sum: String = sum
                .iter()
                .take(4)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!("{}-{sum}", name[..36].trim_end_matches('-'))
        }
    }
}
