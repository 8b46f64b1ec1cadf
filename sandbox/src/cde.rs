//! A simulated CDE API: stateful, over real HTTP/1.1 sockets (optionally with TLS), with a ledger of every call,
//! faults on demand and calls that a test can hold.
//!
//! Its responses have every field that the API reference shows. They are written by hand and share no types with the
//! client, so that a mistake in the client's types shows. There is no global state: any number of sandboxes run side
//! by side, each on a free port, and each ends when its last handle is dropped. As on a real server, a call that has
//! arrived is carried out even if its client disconnects.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use cde_sandbox::cde::{Connector, Fault, Operation, Sandbox, new_id};
//!
//! let sandbox = Sandbox::start().await?;
//! let id = new_id();
//! sandbox.put(Connector::migrated(id));
//! sandbox.inject(Fault::on(Operation::Rollback).connector(id).answer(503).header("retry-after", "1"));
//! // … point a client at sandbox.url() with sandbox.token() …
//! assert_eq!(sandbox.effects(id), 0);
//! # Ok::<(), cde_sandbox::cde::Error>(()) }).unwrap();
//! ```
//!
//! It accepts one token of its own. With [`Builder::introspection`] it also accepts the tokens of a real
//! [authorization server](crate::authorization_server), which expire and can be revoked.
//!
//! # Over HTTP
//!
//! Everything that the handle can do is also available as JSON under `/_sandbox/`, without a token:
//!
//! ```text
//! curl $URL/_sandbox/connectors
//! curl -X PUT $URL/_sandbox/connectors -d '{"id": "…", "main": 1, "versions": [
//!     {"version": "1.0.0", "state": "synchronized-to-prod", "production": 25, "legacy": 24}]}'
//! curl -X DELETE $URL/_sandbox/connectors/$ID
//! curl -X POST $URL/_sandbox/connectors/$ID/settle
//! curl -X POST $URL/_sandbox/faults -d '{"operation": "rollback", "times": 2, "status": 503,
//!     "headers": [["retry-after", "1"]]}'
//! curl -X POST $URL/_sandbox/faults -d '{"connector": "…", "wire": {"cut": "within-body"}, "after-effect": true}'
//! curl $URL/_sandbox/faults
//! curl -X DELETE $URL/_sandbox/faults
//! curl $URL/_sandbox/ledger
//! ```
//!
//! The fields are those of [`Connector`], [`Version`] and [`Fault`], in kebab-case. All are optional.

mod connector;
mod control;
mod edit;
mod fault;
mod hold;
mod ledger;
mod operation;
mod port;
mod remote;
mod reply;
mod rules;
mod sandbox;
mod server;
mod slow;
mod store;
mod tls;
mod wire;

pub use connector::{Access, Connector, RepeatedRollback, RollbackEffect, Version, new_id};
pub use fault::{Body, CutPoint, Fault, Wire};
pub use hold::{Held, HoldPoint};
pub use ledger::{Answered, Call, Ledger};
pub use operation::Operation;
pub use remote::Remote;
pub use sandbox::{Builder, Sandbox};
pub use tls::Flaw;

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// An error of the sandbox itself. A response to a client is never an error here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is in use or does not belong to this machine.
    #[error("cannot listen on {address}: {cause}; choose another address, or port 0 for a free one")]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// The error of the operating system.
        cause: std::io::Error,
    },
    /// The certificates could not be created.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// The client for the introspection endpoint could not be set up.
    #[error("cannot set up introspection: {0:#}")]
    Introspection(anyhow::Error),
    /// [`Sandbox::wait_for`] ran out of time.
    #[error("the condition did not hold within {waited:?}; the ledger then was:\n{ledger}")]
    TimedOut {
        /// How long it waited.
        waited: Duration,
        /// All calls so far.
        ledger: Ledger,
    },
    /// [`Held::arrived`] ran out of time.
    #[error("no call to hold arrived within {0:?}; check that the client calls this sandbox and connector")]
    NotArrived(Duration),
}

/// A test that panicked while it read the ledger must not stop the server.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
