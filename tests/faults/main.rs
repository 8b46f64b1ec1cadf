//! What the operator survives: the process dies, the API server and the CDE API misbehave; judged by the ledger.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test ends where something is missing, and its name is its documentation"
)]

mod answers;
mod api_server;
mod api_server_pace;
mod backup;
mod cde;
mod clock;
mod configuration;
mod crash;
mod economy;
mod edits;
mod field;
mod gaps;
mod leadership;
mod lost;
mod phase;
mod phases;
mod process;
mod request;
mod rivals;
mod scene;
mod secrets;
mod siblings;
mod stop;
mod token;
#[path = "../operator/world/mod.rs"]
mod world;
