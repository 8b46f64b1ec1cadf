//! The client of Productsup's Connector Development Environment (CDE) API.
//!
//! ```text
//! Call + CallId + Token ── Client ──▶ Answer | Failure
//! ```
//!
//! Each call is one HTTP request within one timeout. The client never retries and follows no redirect.
//!
//! - [`model`]: requests and responses as plain values; the only part that the pure core may use.
//! - [`BaseUrl`]: the base URL, which does not allow the token to be sent unencrypted to another host.
//! - [`TokenFile`]: the bearer token, reread when its file changes and never printed.
//! - `wire`: decodes response bodies leniently, with the values of `lenient`.
//! - `message`: makes text from responses safe to show.
//! - `trace`: traces a call.

mod base_url;
mod client;
mod lenient;
mod message;
pub mod model;
mod token;
mod trace;
mod wire;

pub use base_url::BaseUrl;
pub use client::{Client, ClientConfig};
pub use token::{Access, Token, TokenFile};

pub use crate::http_client::ConfigError;
