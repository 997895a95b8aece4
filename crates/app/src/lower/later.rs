//! What the file says and this binary can't do yet, and required keys: both follow the grammar.

use crate::{
    diagnostic::Diagnostic,
    grammar::{APP, Shape, Table},
    merge::environment_table,
    node::{Data, Fields, Node},
    source::Span,
};

use super::Lower;

impl Lower<'_> {
    /// Warnings for everything that is not built yet.
    pub(super) fn later(&mut self) {
        let merged = self.merged;
        self.later_in(&APP, &merged.root);
        self.later_in(environment_table(), &merged.environment);
    }

    fn later_in(&mut self, table: &Table, fields: &Fields) {
        for (name, field) in fields.iter() {
            let Some(key) = table
                .key(name)
                .filter(|_| !matches!(field.node.data, Data::Bad))
            else {
                continue;
            };
            // What an environment sets again stands in the merged tables as well.
            if table.name == "app-file" && name == "environment"
                || table.name == "environment" && APP.key(name).is_some()
            {
                continue;
            }
            if let Some(later) = key.later {
                let empty = field.node.table().is_some_and(Fields::is_empty)
                    || field.node.list().is_some_and(<[Node]>::is_empty);
                let zero = field.node.integer() == Some(0);
                if !empty && !zero {
                    self.not_built(&field.key, &format!("`{name}`"), later.matters);
                }
                continue;
            }
            self.later_value(&key.shape, &field.node);
        }
    }

    fn later_value(&mut self, shape: &Shape, node: &Node) {
        if let Some(items) = node.list() {
            if let Some(inner) = shape.as_list() {
                items.iter().for_each(|item| self.later_value(inner, item));
            }
        } else if let Some(fields) = node.table() {
            if let Some(table) = shape.as_table() {
                self.later_in(table, fields);
            } else if let Some((_, inner)) = shape.as_map()
                && inner.as_table().is_some()
            {
                fields
                    .iter()
                    .for_each(|(_, field)| self.later_value(inner, &field.node));
            }
        }
    }

    /// One warning.
    pub(super) fn not_built(&mut self, span: &Span, what: &str, matters: bool) {
        let label = if matters {
            "a deployment that needs it is refused"
        } else {
            "has no effect yet"
        };
        let mut diagnostic = Diagnostic::warning(
            "not-built-yet",
            span.clone(),
            format!("{what} is not built yet"),
            label,
        );
        diagnostic.matters = matters;
        self.unsupported.push(diagnostic);
    }

    /// Errors for required keys that are missing, once everything is merged.
    pub(super) fn required(&mut self) {
        let merged = self.merged;
        self.required_in(&APP, &merged.root, &(0..0));
    }

    fn required_in(&mut self, table: &Table, fields: &Fields, span: &Span) {
        for key in table
            .keys
            .iter()
            .filter(|key| key.required && !fields.has(key.name))
        {
            let example = format!("{} = {}", key.name, key.example);
            self.error(
                "missing-key",
                span,
                format!("{} needs `{}`", table.title, key.name),
                format!("for example {example}"),
            );
        }
        for (name, field) in fields.iter() {
            if table.name == "app-file" && name == "environment" {
                continue;
            }
            if let Some(key) = table.key(name) {
                self.required_value(&key.shape, &field.node, &field.key);
            }
        }
    }

    fn required_value(&mut self, shape: &Shape, node: &Node, key: &Span) {
        if let Some(items) = node.list() {
            if let Some(inner) = shape.as_list()
                && inner.as_table().is_some()
            {
                items
                    .iter()
                    .for_each(|item| self.required_value(inner, item, &item.span));
            }
        } else if let Some(fields) = node.table() {
            if let Some(table) = shape.as_table() {
                self.required_in(table, fields, key);
            } else if let Some((_, inner)) = shape.as_map()
                && inner.as_table().is_some()
            {
                fields
                    .iter()
                    .for_each(|(_, field)| self.required_value(inner, &field.node, &field.key));
            }
        }
    }
}
