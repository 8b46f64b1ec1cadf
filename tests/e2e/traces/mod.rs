//! Traces: what a collector gets of the operator's own program, which works on a real API server and calls the CDE
//! API over real sockets.

mod attempts;
mod collector;
mod configuration;
mod outage;
mod secrets;
mod span;
mod whole;
