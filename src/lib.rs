//! A Kubernetes operator that restores deleted connectors of Productsup's Connector Development Environment (CDE) and
//! rolls back connector migrations, at most once per request.
//!
//! The modules and their allowed imports:
//!
//! ```text
//!   api ← operation ← controller → cde, credential → oauth
//! ```
//!
//! `app` imports all. All may use `dns`, `http_client`, `text`, `runtime::clock` and `runtime::telemetry`.
//!
//! - [`api`]: the custom resources and their status; types only.
//! - [`operation`]: the pure core: state machine, classification, queue, circuit breaker. It uses only [`cde::model`] of
//!   `cde`.
//! - [`cde`]: the client of the CDE API; knows nothing of Kubernetes and never retries.
//! - [`credential`]: the token for the CDE API: a file, or a login that the operator refreshes.
//! - [`oauth`]: the token endpoint of an authorization server, and the Secret of the login. [`http_client`]: TLS, proxies
//!   and timeouts of all HTTP clients. [`dns`]: their resolver.
//! - [`controller`]: the controllers: observe, decide, claim, act, record.
//! - [`runtime`]: leader election, admin server, Events, metrics, logs, traces, clocks; the same in any operator.
//! - [`text`]: makes external text safe to show. [`config`]: flags and environment. [`app`]: wiring.

#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::too_many_lines))]

pub mod api;
pub mod app;
pub mod cde;
pub mod config;
pub mod controller;
pub mod credential;
pub mod dns;
pub mod http_client;
pub mod oauth;
pub mod operation;
pub mod runtime;
pub mod text;

/// The version of this program. A build that is not a release has the commit after a `+`, and a debug build has `+debug`.
pub const VERSION: &str = env!("CDE_OPERATOR_VERSION");
