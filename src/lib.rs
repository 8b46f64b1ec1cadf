//! cde-operator: operations of Productsup's Connector Development Environment (CDE) as Kubernetes objects, each
//! performed at most once per request.
//!
//! The modules, and which may import which:
//!
//! ```text
//!   api ← operation ← controller → cde      app imports all; all may use runtime::clock and runtime::telemetry
//! ```
//!
//! - [`api`]: the custom resources and their status; types only.
//! - [`operation`]: the pure core: state machine, classification, queue, circuit breaker; functions of values. Of `cde`
//!   it sees [`cde::model`] alone: values.
//! - [`cde`]: the CDE API over HTTP; knows nothing of Kubernetes, never repeats anything.
//! - [`controller`]: the shell: observe, decide, claim, act, record; the only module that sees all three.
//! - [`runtime`]: leader election, admin server, Events, metrics, logs, traces, clocks; the same in any operator.
//! - [`text`]: text of others, made fit to be shown. [`config`]: flags and environment. [`app`]: the wiring.

#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::too_many_lines))]

pub mod api;
pub mod app;
pub mod cde;
pub mod config;
pub mod controller;
pub mod operation;
pub mod runtime;
pub mod text;
