//! What any operator has: a Lease, an admin server, figures of the process, logs, traces. Imports none of the other rooms.

pub mod admin;
pub mod api_server;
pub mod figure;
pub mod lease;
pub mod process;
pub mod telemetry;
pub mod watch_health;
