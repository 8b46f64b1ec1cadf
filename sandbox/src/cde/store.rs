//! The connectors and the tokens, and who may do what with them.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::connector::{Access, Connector, Version};
use super::operation::{Operation, Route};
use super::rules::{self, Refusal};
use super::wire;

/// The API's response to a call, before any fault.
pub(super) struct Outcome {
    pub(super) status: u16,
    pub(super) effect: bool,
    content: Content,
}

enum Content {
    Refusal(Refusal),
    Connector(&'static str, Box<Connector>),
    Version(Box<Version>, String),
    Bin(Vec<Connector>),
    Ingress,
}

impl Outcome {
    fn done(effect: bool, content: Content) -> Self {
        Self { status: 200, effect, content }
    }

    fn refused(refusal: Refusal) -> Self {
        Self { status: refusal.0, effect: false, content: Content::Refusal(refusal) }
    }

    /// Returns a 404 as an ingress sends it, for a path that the API does not know.
    pub(super) fn ingress() -> Self {
        Self { status: 404, effect: false, content: Content::Ingress }
    }

    /// Returns the JSON body, or `None` where an ingress answered. Expensive enough to keep out of locks.
    pub(super) fn body(&self) -> Option<Value> {
        Some(match &self.content {
            Content::Ingress => return None,
            Content::Refusal((400, message)) => json!({"message": message, "errors": []}),
            Content::Refusal((_, message)) => json!({"message": message}),
            Content::Connector(message, connector) => {
                json!({"message": message, "resource": "connector", "data": wire::connector(connector)})
            }
            Content::Version(version, kind) => {
                json!({"message": "successful operation", "data": wire::version(version, kind)})
            }
            Content::Bin(found) => {
                let data: Vec<Value> = found.iter().map(wire::connector).collect();
                json!({"message": "successful operation", "resource": "connector", "data": data})
            }
        })
    }
}

/// The state of the API.
#[derive(Default)]
pub(super) struct Store {
    pub(super) connectors: HashMap<Uuid, Connector>,
    pub(super) tokens: Vec<String>,
}

impl Store {
    /// Adds or replaces a connector.
    pub(super) fn put(&mut self, mut connector: Connector) {
        if connector.in_bin {
            for version in &mut connector.versions {
                version.deleted_at.get_or_insert(version.updated_at);
            }
        }
        self.connectors.insert(connector.id, connector);
    }

    /// Carries out a call. With `commit` false, it answers the same but changes nothing.
    pub(super) fn perform(&mut self, route: &Route, query: &str, commit: bool) -> Outcome {
        if route.operation == Operation::ListBin {
            return Outcome::done(false, Content::Bin(self.bin(query)));
        }
        let unknown =
            if route.operation == Operation::Rollback { rules::NO_VERSION } else { rules::NO_CONNECTOR };
        let Some(stored) = route.connector.and_then(|id| self.connectors.get_mut(&id)) else {
            return Outcome::refused(unknown);
        };
        let mut connector = stored.clone();
        match operate(&mut connector, route) {
            Err(refusal) => Outcome::refused(refusal),
            Ok(content) => {
                let effect = commit && Operation::Changing.covers(Some(route.operation));
                if effect {
                    *stored = connector;
                }
                Outcome::done(effect, content)
            }
        }
    }

    /// Returns the response to a call without a valid token.
    pub(super) fn unauthorized() -> Outcome {
        Outcome::refused(rules::UNAUTHORIZED)
    }

    fn bin(&self, query: &str) -> Vec<Connector> {
        let value = |key: &str| {
            query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .find(|pair| pair.0 == key)
                .map(|pair| pair.1)
        };
        let number = |key: &str| value(key).and_then(|text| text.parse::<usize>().ok());
        let mut found: Vec<&Connector> = self
            .connectors
            .values()
            .filter(|connector| connector.in_bin && connector.access == Access::Open)
            .filter(|connector| value("name").is_none_or(|name| connector.name.contains(name)))
            .filter(|connector| {
                let owner = connector.owner.to_string();
                value("owners").is_none_or(|owners| owners.split(',').any(|one| one == owner))
            })
            .collect();
        found.sort_by_key(|connector| connector.id);
        let (from, limit) = (number("from").unwrap_or(0), number("limit").unwrap_or(50));
        found.into_iter().skip(from).take(limit).cloned().collect()
    }
}

fn operate(connector: &mut Connector, route: &Route) -> Result<Content, Refusal> {
    let reading = route.operation == Operation::Read;
    match connector.access {
        Access::Forbidden => return Err(rules::DENIED),
        Access::ReadingForbidden if reading => return Err(rules::DENIED),
        Access::ReadingForbidden | Access::Open => {}
    }
    let now = Timestamp::now();
    let message = match route.operation {
        Operation::Rollback => {
            let word = route.version.as_deref().unwrap_or_default();
            let version = rules::roll_back(connector, word, now)?;
            return Ok(Content::Version(Box::new(version), connector.kind.clone()));
        }
        Operation::Restore => {
            rules::restore(connector, now)?;
            "Connector has been restored from bin."
        }
        Operation::MoveToBin => {
            rules::move_to_bin(connector, now)?;
            "Connector has been moved to bin."
        }
        _ if connector.in_bin && !connector.readable_in_bin => return Err(rules::NO_CONNECTOR),
        _ => "successful operation",
    };
    Ok(Content::Connector(message, Box::new(connector.clone())))
}
