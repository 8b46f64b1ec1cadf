//! The CDE API over HTTP: one request a call, nothing repeated, no redirect followed, nothing of Kubernetes.
//!
//! ```text
//! Call + CallId + Token ── client ──▶ Answer | Failure
//! ```
//!
//! - [`model`]: what is said and answered, as plain values; all that the operation core may see.
//! - [`BaseUrl`]: where the API is, and the refusal to send a token in the clear.
//! - [`TokenFile`]: the bearer token, read again when its file changes, never printable.
//! - [`Client`]: one call, one request, within one time-out.
//! - `wire`: decodes bodies into the model, leniently.
//! - `retry_after`: when an answer asks to come back.
//! - `message`: what of an answer may be shown to people.
//! - `trace`: a call as a span, and the header that tells the API of it.

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

/// What is wrong with the configuration of this room: one sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);
