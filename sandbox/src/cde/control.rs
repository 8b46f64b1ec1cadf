//! The control endpoints under `/_sandbox/`, which do what the handle does, for people and for other processes.

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use uuid::Uuid;

use super::connector::Connector;
use super::fault::Fault;
use super::ledger::Ledger;
use super::lock;
use super::reply::Reply;
use super::server::Shared;

/// The prefix of all paths of the control endpoints.
pub(super) const PREFIX: &str = "/_sandbox/";
const BODY_LIMIT: usize = 64 * 1024 * 1024;

type Problem = (StatusCode, String);

/// Answers a request to a control endpoint. The ledger contains none of them.
pub(super) async fn answer(shared: &Shared, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let path = head.uri.path().trim_start_matches(PREFIX).to_owned();
    let answer = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => dispatch(shared, head.method.as_str(), &path, &body.to_bytes()),
        Err(error) => Err((StatusCode::BAD_REQUEST, format!("The body cannot be read: {error}."))),
    };
    match answer {
        Ok(body) => Reply::json(200, &body),
        Err((status, message)) => Reply::json(status.as_u16(), &json!({"message": message})),
    }
}

fn dispatch(shared: &Shared, method: &str, path: &str, body: &[u8]) -> Result<Value, Problem> {
    let segments: Vec<&str> = path.split('/').collect();
    match (method, segments.as_slice()) {
        ("GET", ["connectors"]) => {
            let mut all: Vec<Connector> = lock(&shared.store).connectors.values().cloned().collect();
            all.sort_by_key(|connector| connector.id);
            Ok(json!(all))
        }
        ("PUT", ["connectors"]) => {
            let connectors = many::<Connector>(body)?;
            let ids: Vec<Uuid> = connectors.iter().map(|connector| connector.id).collect();
            let mut store = lock(&shared.store);
            for connector in connectors {
                store.put(connector);
            }
            Ok(json!({"ids": ids}))
        }
        ("DELETE", ["connectors", id]) => {
            let id = parse_id(id)?;
            known(id, lock(&shared.store).connectors.remove(&id).is_some())
        }
        ("POST", ["connectors", id, "settle"]) => {
            let id = parse_id(id)?;
            known(id, shared.settle(id))
        }
        ("GET", ["faults"]) => Ok(json!(*lock(&shared.faults))),
        ("POST", ["faults"]) => {
            lock(&shared.faults).extend(many::<Fault>(body)?);
            Ok(json!({}))
        }
        ("DELETE", ["faults"]) => {
            lock(&shared.faults).clear();
            Ok(json!({}))
        }
        ("GET", ["ledger"]) => Ok(json!(shared.book.read(Ledger::clone))),
        _ => Err((
            StatusCode::NOT_FOUND,
            format!("There is no {method} {PREFIX}{path}; see `cde-sandbox --help` for all endpoints."),
        )),
    }
}

/// Parses one item or a list of items.
fn many<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, Problem> {
    let unreadable = |error| (StatusCode::BAD_REQUEST, format!("The body is not valid: {error}."));
    // Not an untagged enum, because these errors name the field.
    if body.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice(body).map_err(unreadable)
    } else {
        serde_json::from_slice(body).map(|one| vec![one]).map_err(unreadable)
    }
}

fn parse_id(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|error| {
        (StatusCode::BAD_REQUEST, format!("`{text}` is not the ID of a connector: {error}."))
    })
}

fn known(id: Uuid, known: bool) -> Result<Value, Problem> {
    if known {
        Ok(json!({"id": id}))
    } else {
        Err((StatusCode::NOT_FOUND, format!("There is no connector {id}.")))
    }
}
