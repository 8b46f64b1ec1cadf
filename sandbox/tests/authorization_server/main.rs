//! The authorization server: logins, tokens, options, the fault proxy in front of it, and the simulated CDE API that
//! asks it.
#![expect(clippy::unwrap_used, reason = "tests panic on unexpected results")]

mod cde;
mod client;
mod login;
mod options;
mod proxy;
mod tokens;
