//! The client of Productsup's Connector Development Environment (CDE) API.
//!
//! ```text
//! Call + CallId + Token ── Client ──▶ Answer | Failure
//! ```
//!
//! Each call is one HTTP request within one timeout: the client never retries, follows no redirect, and knows nothing
//! of Kubernetes.
//!
//! - [`model`]: requests and responses as plain values; the only part that the operation core may use.
//! - [`BaseUrl`]: the base URL, which refuses to send a token unencrypted to another host.
//! - [`TokenFile`]: the bearer token, read again when its file changes and never printed.
//! - [`Client`]: sends the calls.
//! - `wire`: decodes response bodies leniently.
//! - `retry_after`: reads when the next call may be made.
//! - `message`: makes text from responses safe to show.
//! - `trace`: traces a call and sends the trace context with it.

mod base_url;
mod client;
mod message;
pub mod model;
mod retry_after;
mod token;
mod trace;
mod wire;

pub use base_url::BaseUrl;
pub use client::{Client, ClientConfig};
pub use token::{Token, TokenFile};

/// An error in the configuration of the client: one sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);
