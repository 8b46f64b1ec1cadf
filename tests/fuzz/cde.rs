//! The client's private code that reads bodies.

#![allow(dead_code, reason = "each target uses a part, and the client uses the rest")]

pub mod model {
    pub use cde_operator::cde::model::*;
}
#[path = "../../src/cde/lenient.rs"]
mod lenient;
#[path = "../../src/cde/wire.rs"]
mod wire;

use model::{Connector, Data, Failure, FailureKind};

/// Returns the client's result for a response to a read.
pub fn reading(code: u16, body: &[u8]) -> Result<Connector, Failure> {
    success(code, body)?;
    wire::connector(body).map(|(connector, _)| connector).map_err(|_| unreadable(code))
}

/// Returns the client's result for a response to a changing call.
pub fn answer(code: u16, body: &[u8], version: bool) -> Result<Data, Failure> {
    success(code, body)?;
    let data = if version {
        wire::version(body).map(|(version, _)| Data::Version(Box::new(version)))
    } else {
        wire::connector(body).map(|(connector, _)| Data::Connector(Box::new(connector)))
    };
    data.map_err(|_| unreadable(code))
}

fn success(code: u16, body: &[u8]) -> Result<(), Failure> {
    if (200..300).contains(&code) {
        return Ok(());
    }
    let said = wire::message(body);
    let kind = FailureKind::Status { code, from_api: said.is_some() };
    let message = cde_operator::text::clean(&said.unwrap_or_default(), 512);
    Err(Failure { kind, message, retry_at: None })
}

fn unreadable(code: u16) -> Failure {
    Failure { kind: FailureKind::Unreadable { code }, message: "unreadable".to_owned(), retry_at: None }
}
