//! The admin server: `/livez`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

/// The default of `OpenMetrics`, which every scraper since 2018 reads.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The result of a probe: `Ok` with problems that do not fail it, one per line; `Err` says why it fails.
pub type Probe = Box<dyn Fn() -> Result<String, String> + Send + Sync>;

/// The content of the admin server.
pub struct Admin {
    /// `/livez`: fails if the process should be restarted.
    pub live: Probe,
    /// `/readyz`: fails if the process cannot work at present.
    pub ready: Probe,
    /// The metrics.
    pub registry: Registry,
}

/// Serves on `listener` until it is dropped.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener, admin: Admin) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(async |State(admin): State<Arc<Admin>>| answer((admin.live)())))
        .route("/readyz", get(async |State(admin): State<Arc<Admin>>| answer((admin.ready)())))
        .route("/metrics", get(async |State(admin): State<Arc<Admin>>| metrics(&admin.registry)))
        .with_state(Arc::new(admin));
    axum::serve(listener, router).await
}

fn answer(probe: Result<String, String>) -> (StatusCode, String) {
    match probe {
        Ok(problems) => (StatusCode::OK, format!("ok\n{problems}")),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

fn metrics(registry: &Registry) -> Response {
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
