//! What the operator survives: the process dies, the API server and the CDE API misbehave; judged by the ledger.

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
