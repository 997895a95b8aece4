//! The environment's values over those at the top: tables are merged key by key, all else replaced.

use std::sync::Arc;

use crate::{
    grammar::{APP, Shape, Table},
    node::{Data, Field, Fields, Node},
};

/// One environment's view of the file.
#[derive(Debug, Clone)]
pub(crate) struct Merged {
    /// The tables at the top with the environment's over them.
    pub root: Fields,
    /// What stands in the environment itself, with what it extends under it.
    pub environment: Fields,
    /// The top and the environments of the chain, weakest first: each as it was written.
    pub layers: Vec<Arc<Fields>>,
}

impl Merged {
    /// The tables at the top alone.
    pub fn new(root: &Fields) -> Self {
        Self {
            root: root.clone(),
            environment: Fields::default(),
            layers: vec![Arc::new(root.clone())],
        }
    }

    /// Lays an environment over all so far.
    pub fn over(&mut self, environment: &Arc<Fields>) {
        let table = environment_table();
        self.environment = merge(table, &self.environment, environment);
        let mut shared = Fields::default();
        for (key, field) in environment.shared() {
            // Plain values keep their layers: the environment's are stronger than a service's.
            if &**key != "env" && APP.key(key).is_some() {
                shared.insert(key.clone(), field.clone());
            }
        }
        if !shared.is_empty() {
            self.root = merge(&APP, &self.root, &shared);
        }
        self.layers.push(environment.clone());
    }
}

/// The table of environments in the grammar.
pub(crate) fn environment_table() -> &'static Table {
    let shape = APP.key("environment").and_then(|key| key.shape.as_map());
    shape
        .and_then(|(_, shape)| shape.as_table())
        .unwrap_or(&APP)
}

/// What an environment doesn't take over from the one that it extends.
pub(crate) fn inherited(environment: &Fields) -> Fields {
    let mut inherited = environment.clone();
    for key in ["target", "branch", "extends", "secrets-from"] {
        inherited.remove(key);
    }
    within(&mut inherited, "service", |service| {
        for key in ["target", "domains", "publish", "secrets"] {
            service.remove(key);
        }
        within(service, "volumes", |volume| {
            within_one(volume, "backup", without_destination)
        });
    });
    within(&mut inherited, "backing", |backing| {
        within_one(backing, "backup", without_destination)
    });
    inherited
}

fn without_destination(backup: &mut Fields) {
    for key in ["to", "endpoint", "region", "access-key", "secret-key"] {
        backup.remove(key);
    }
}

fn within_one(fields: &mut Fields, key: &str, mut change: impl FnMut(&mut Fields)) {
    let Some(field) = fields.field(key).cloned() else {
        return;
    };
    let Some(table) = field.node.table() else {
        return;
    };
    let mut table = table.clone();
    change(&mut table);
    let node = Node {
        data: Data::Table(Arc::new(table)),
        ..field.node
    };
    fields.insert(
        key.into(),
        Field {
            key: field.key,
            node,
        },
    );
}

fn within(fields: &mut Fields, key: &str, mut change: impl FnMut(&mut Fields)) {
    within_one(fields, key, |map| {
        let names: Vec<_> = map.shared().map(|(name, _)| name.clone()).collect();
        for name in names {
            within_one(map, &name, &mut change);
        }
    });
}

/// The keys of a table over those of a weaker one.
pub(crate) fn merge(table: &Table, base: &Fields, over: &Fields) -> Fields {
    let mut merged = base.clone();
    for (key, field) in over.shared() {
        for rival in table.rivals(key) {
            merged.remove(rival);
        }
        let shape = table.key(key).map(|key| &key.shape);
        put(&mut merged, key, field, shape);
    }
    merged
}

fn put(merged: &mut Fields, key: &Arc<str>, field: &Field, shape: Option<&Shape>) {
    let below = merged.field(key).cloned();
    let field = match (shape, below) {
        (Some(shape), Some(below)) => Field {
            node: node(shape, &below.node, &field.node),
            key: below.key,
        },
        _ => field.clone(),
    };
    merged.insert(key.clone(), field);
}

fn node(shape: &Shape, base: &Node, over: &Node) -> Node {
    let (Some(below), Some(above)) = (base.table(), over.table()) else {
        return over.clone();
    };
    let fields = if let Some(table) = shape.as_table() {
        merge(table, below, above)
    } else {
        let inner = shape.as_map().map(|(_, inner)| inner);
        let mut merged = below.clone();
        for (key, field) in above.shared() {
            put(&mut merged, key, field, inner);
        }
        merged
    };
    Node {
        span: base.span.clone(),
        layer: base.layer,
        data: Data::Table(Arc::new(fields)),
    }
}
