//! Traces as a collector receives them from the operator's own program, which uses a real API server and calls the CDE
//! API over real sockets.

mod attempts;
mod collector;
mod configuration;
mod login;
mod outage;
mod secrets;
mod span;
mod whole;
