//! cde-operator: CDE operations as Kubernetes objects, each performed once.
//!
//! The rooms, and who may import whom:
//!
//! ```text
//!   api ← operation ← controller → cde        runtime imports none of them; app imports all
//!                     controller, cde → runtime::telemetry: spans
//! ```
//!
//! - [`api`]: the two kinds and their status; types only.
//! - [`operation`]: the rules; pure functions of values. Of `cde` it sees [`cde::model`] alone: values.
//! - [`cde`]: the CDE API over HTTP; knows nothing of Kubernetes, never repeats anything.
//! - [`controller`]: the shell: observe, decide, claim, act, record.
//! - [`runtime`]: leader election, admin server, metrics, logs, traces; the same in any operator.
//! - [`text`]: text of others, made fit to be shown. [`config`]: flags and environment. [`app`]: the wiring.

pub mod api;
pub mod app;
pub mod cde;
pub mod config;
pub mod controller;
pub mod operation;
pub mod runtime;
pub mod text;
