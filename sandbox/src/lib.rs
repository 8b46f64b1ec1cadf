//! What the demo, the tests and the benchmarks of cde-operator share, and what is never linked into it:
//! a simulated CDE API and a local Kubernetes control plane.
//!
//! - [`cde`]: the CDE API as far as it is known, stateful, with a ledger and faults on demand.
//! - [`control_plane`]: a real etcd and kube-apiserver on loopback, found or built once.
//! - [`proxy`]: stands between a client and that kube-apiserver, to hold, cut and count requests.
//! - [`clock`]: a wall clock of one's own for a program, that can be set while it runs.
//! - [`operator`]: the operator's program as a process, with the rights that `deploy/` gives it.
//! - [`program`]: the programs of this workspace, built when they are needed. [`tools`]: those of others, that judge what
//!   we ship: Helm, Prometheus, kstatus. [`controllers`]: those that run against a control plane: Flux, Argo CD and more.
//! - [`process`]: child processes and directories that do not outlive whoever made them. [`table`]: text in columns.

pub mod cde;
pub mod clock;
pub mod control_plane;
pub mod controllers;
mod go;
pub mod operator;
pub mod process;
pub mod program;
pub mod proxy;
pub mod table;
pub mod tools;
