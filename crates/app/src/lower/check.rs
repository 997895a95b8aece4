//! What only shows when services are seen together, or a service's keys side by side.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::{Runtime, Target},
    node::{Field, Fields, Node},
    source::Span,
};

use super::Lower;

impl Lower<'_> {
    /// Whether a service is made of anything, and can be executed.
    pub(super) fn check_source(
        &mut self,
        name: &str,
        field: &Field,
        fields: &Fields,
        runtime: Runtime,
        target: &Target,
    ) {
        if fields.is_empty()
            || !["build", "image", "static", "command", "process"]
                .iter()
                .any(|key| fields.has(key))
        {
            let others = self.services.clone();
            let near = crate::suggest::nearest(
                name,
                others.iter().copied().filter(|other| *other != name),
            );
            let label = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "expected `build`, `image`, `static` or `command`".to_owned(),
            };
            self.error(
                "missing-source",
                &field.key,
                format!("what is the service `{name}`?"),
                label,
            )
            .help = Some(
                "a service names what it is made of, at the top or in this environment".to_owned(),
            );
            return;
        }
        let shared = fields
            .table("build")
            .and_then(|build| build.field("same-as"));
        if let Some(shared) = shared {
            self.known_service(&shared.node, "`same-as`");
        }
        let commands = ["command", "process", "static"]
            .iter()
            .any(|key| fields.has(key));
        if runtime == Runtime::Process
            && !commands
            && matches!(target, Target::Local | Target::Ssh(_))
        {
            self.error("missing-command", &field.key, format!("the service `{name}` says nothing to execute"), "for example command = \"bin/web --port $PORT\"")
                .help = Some("as plain processes a service needs `command`, [service.NAME.process.NAME] or `static`".to_owned());
        }
        if !fields.has("port") && !fields.has("static") {
            for key in ["domains", "routes", "publish", "smoke", "redirects", "cors"] {
                if let Some(field) = fields.field(key)
                    && field.node.list().is_none_or(|items| !items.is_empty())
                {
                    self.error(
                        "missing-port",
                        &field.key,
                        format!("`{key}` leads to `{name}`, which listens nowhere"),
                        "needs `port` in the service",
                    );
                }
            }
        }
        self.check_restart(fields);
    }

    fn check_restart(&mut self, fields: &Fields) {
        let Some(restart) = fields.table("restart") else {
            return;
        };
        let time = |key: &str| restart.parsed::<crate::units::Time>(key);
        if let (Some(delay), Some(longest)) = (time("delay"), time("max-delay"))
            && delay > longest
            && let Some(node) = restart.get("max-delay")
        {
            self.error(
                "bad-times",
                &node.span,
                format!("`max-delay` is {longest}, less than `delay` {delay}"),
                format!("expected at least {delay}"),
            );
        }
        if let Some(field) = restart.field("attempts")
            && restart.text("give-up").unwrap_or("never") == "never"
        {
            self.error(
                "conflicting-keys",
                &field.key,
                "`attempts` counts until it gives up, and it never does",
                "needs give-up = \"exit\" or \"stay\"",
            );
        }
    }

    /// Addresses that two services claim, and circles of `same-as`.
    pub(super) fn check_together(&mut self) {
        let merged = self.merged;
        let mut claimed: BTreeMap<String, (&str, Span)> = BTreeMap::new();
        let services = merged.root.table("service");
        for (name, field) in services.into_iter().flat_map(Fields::iter) {
            let Some(fields) = field.node.table() else {
                continue;
            };
            if let Some(node) = fields.get("publish") {
                let port = node.integer().unwrap_or_default();
                self.claim(
                    &mut claimed,
                    format!("publish {port}"),
                    name,
                    node,
                    "same-publish",
                    &format!("port {port}"),
                );
            }
            for node in fields.list("domains") {
                let host = node
                    .text()
                    .or_else(|| node.table().and_then(|table| table.text("host")))
                    .unwrap_or_default()
                    .to_lowercase();
                self.claim(
                    &mut claimed,
                    format!("{host}/"),
                    name,
                    node,
                    "same-domain",
                    &host,
                );
            }
            for node in fields.list("routes") {
                let Some(table) = node.table() else { continue };
                let host = table.text("host").unwrap_or_default().to_lowercase();
                let path = table.text("path").unwrap_or("/");
                let place = format!("{host}{}/", path.trim_end_matches('/'));
                self.claim(
                    &mut claimed,
                    place,
                    name,
                    node,
                    "same-route",
                    &format!("{host}{path}"),
                );
            }
        }
        self.same_as_circles(services);
    }

    fn claim<'n>(
        &mut self,
        claimed: &mut BTreeMap<String, (&'n str, Span)>,
        place: String,
        name: &'n str,
        node: &Node,
        code: &'static str,
        shown: &str,
    ) {
        if let Some((other, span)) = claimed.get(&place) {
            let message = if *other == name {
                format!("{shown} stands twice in the service `{name}`")
            } else {
                format!("{shown} leads to `{other}` and to `{name}`")
            };
            self.error(code, &node.span, message, "only one can have it")
                .related = Some((span.clone(), "the first".to_owned()));
        } else {
            claimed.insert(place, (name, node.span.clone()));
        }
    }

    fn same_as_circles(&mut self, services: Option<&Fields>) {
        let next = |name: &str| services?.table(name)?.table("build")?.get("same-as");
        let mut done: BTreeSet<&str> = BTreeSet::new();
        for (name, _) in services.into_iter().flat_map(Fields::iter) {
            let mut path: Vec<&str> = Vec::new();
            let mut on_path: BTreeSet<&str> = BTreeSet::new();
            let mut at = name;
            loop {
                if done.contains(at) {
                    break;
                }
                if !on_path.insert(at) {
                    let start = path.iter().position(|step| *step == at).unwrap_or(0);
                    let mut circle = path[start..].to_vec();
                    circle.push(at);
                    let span = next(circle[0])
                        .map(|node| node.span.clone())
                        .unwrap_or_default();
                    let shown = if circle.len() > 12 {
                        format!("{} → …", circle[..12].join(" → "))
                    } else {
                        circle.join(" → ")
                    };
                    self.error(
                        "same-as-circle",
                        &span,
                        format!("services are the same as each other in a circle: {shown}"),
                        "one of them must say how it is built",
                    );
                    break;
                }
                path.push(at);
                match next(at).and_then(Node::text) {
                    Some(other) => at = other,
                    None => break,
                }
            }
            done.extend(path);
        }
    }
}
