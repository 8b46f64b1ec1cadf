//! Upgrades: a cluster with requests in every state, made by the definitions and the operator of an earlier commit, goes
//! over to the present ones, and back; and what the definitions promised stays so.

mod archive;
mod beta;
mod cast;
mod crash;
mod earlier;
mod names;
mod order;
mod policy;
mod rolling;
mod schema;
mod version;

pub(crate) use earlier::Earlier;
