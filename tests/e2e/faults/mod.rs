//! Faults that the operator survives: the process dies, or the API server or the CDE API misbehaves. The ledger shows
//! the result.

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
mod proxied;
pub(crate) mod request;
mod rivals;
mod secrets;
mod siblings;
mod stop;
mod token;
