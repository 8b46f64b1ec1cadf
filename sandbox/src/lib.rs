//! What the demo, the tests and the benchmarks of cde-operator share and what is never linked into the operator: a
//! simulated CDE API and a local Kubernetes control plane.
//!
//! - [`authorization_server`]: a real OAuth 2.0 server with one user, whose tokens the simulated CDE API can accept.
//! - [`cde`]: the CDE API as far as it is documented, stateful, with a ledger and faults on demand.
//! - [`control_plane`]: a real etcd and kube-apiserver on loopback, found or built once.
//! - [`proxy`]: a proxy in front of that kube-apiserver or another server, which holds, cuts and counts requests.
//! - [`clock`]: a wall clock for one program, which can be set while the program runs.
//! - [`operator`]: the operator's program as a process, with the permissions that `deploy/` gives it.
//! - [`program`]: the programs of this workspace, built when they are needed.
//! - [`tools`]: third-party programs that check what we ship: Helm, Prometheus, kstatus, krew.
//! - [`controllers`]: controllers that run against a control plane: Flux, Argo CD and those of Kubernetes.
//! - [`process`]: child processes and directories that do not outlive their owner.
//! - [`recording`]: what a terminal showed, as an animated SVG. [`table`]: text in columns.

pub mod authorization_server;
mod cache;
pub mod cde;
pub mod clock;
pub mod control_plane;
pub mod controllers;
mod go;
mod oauth_client;
pub mod operator;
pub mod process;
pub mod program;
pub mod proxy;
pub mod recording;
mod redis;
pub mod table;
pub mod tools;
