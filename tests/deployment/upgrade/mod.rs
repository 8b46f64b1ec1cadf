//! Upgrades: a cluster with requests in every state, created by the CRDs and the operator of an earlier commit, is
//! upgraded to the present ones and back, and the promises of the CRDs are kept.

mod archive;
mod beta;
mod crash;
mod earlier;
mod existing;
mod names;
mod order;
mod policy;
mod rolling;
mod schema;
mod version;

pub(crate) use earlier::Earlier;
