//! What any operator has: leader election, an admin server, metrics of the process, logs and traces. Imports none of the
//! other modules, `text` apart.

pub mod admin;
pub mod api_server;
pub mod clock;
pub mod crd_state;
pub mod events;
pub mod lease;
pub mod metrics;
pub mod process;
pub mod telemetry;
pub mod watch_health;
pub mod watches;
