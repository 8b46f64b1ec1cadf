//! What any operator needs: leader election, admin server, process metrics, logs and traces. Imports only `text`.

pub mod admin;
pub mod api_server;
pub mod clock;
pub mod crd_state;
pub mod events;
pub mod guarded;
pub mod lease;
pub mod metrics;
pub mod process;
pub mod rate_limit;
pub mod telemetry;
pub mod version;
pub mod watch_health;
pub mod watch_stream;
pub mod watches;
pub mod work_queue;
