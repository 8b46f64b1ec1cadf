//! Maps a method and a path to an operation of the API.

use http::Method;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An operation of the API, or a group of them for faults, holds and queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// `PATCH /connectors/{id}/restore-from-bin`
    Restore,
    /// `POST /connectors/{id}/versions/{version}/migration/rollback`
    Rollback,
    /// `GET /connectors/{id}`
    Read,
    /// `GET /connectors/bin`
    ListBin,
    /// `PATCH /connectors/{id}/move-to-bin`
    MoveToBin,
    /// A group: every operation that changes something.
    Changing,
    /// A group: every call, including calls with a path that the API does not know.
    Any,
}

impl Operation {
    /// Returns whether `self` covers a call of the operation `called` (`None`: an unknown path).
    #[must_use]
    pub fn covers(self, called: Option<Self>) -> bool {
        match self {
            Self::Any => true,
            Self::Changing => matches!(called, Some(Self::Restore | Self::Rollback | Self::MoveToBin)),
            one => called == Some(one),
        }
    }
}

/// What a path refers to.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) operation: Operation,
    pub(super) connector: Option<Uuid>,
    /// `main`, `latest` or digits.
    pub(super) version: Option<String>,
}

/// Returns the route of a call, or `None` where an ingress would already reject the path.
pub(super) fn route(method: &Method, path: &str) -> Option<Route> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let (operation, connector, version) = match (method.as_str(), segments.as_slice()) {
        ("GET", ["connectors", "bin"]) => (Operation::ListBin, None, None),
        ("GET", ["connectors", id]) => (Operation::Read, Some(connector_id(id)?), None),
        ("PATCH", ["connectors", id, "restore-from-bin"]) => {
            (Operation::Restore, Some(connector_id(id)?), None)
        }
        ("PATCH", ["connectors", id, "move-to-bin"]) => (Operation::MoveToBin, Some(connector_id(id)?), None),
        ("POST", ["connectors", id, "versions", version, "migration", "rollback"]) => {
            (Operation::Rollback, Some(connector_id(id)?), Some(version_word(version)?))
        }
        _ => return None,
    };
    Some(Route { operation, connector, version })
}

/// Accepts only the usual form with hyphens. The parser accepts others too.
fn connector_id(text: &str) -> Option<Uuid> {
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

fn version_word(text: &str) -> Option<String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits || text == "main" || text == "latest").then(|| text.to_owned())
}
