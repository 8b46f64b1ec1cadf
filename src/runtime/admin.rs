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

/// What every scraper since 2018 reads, and what `OpenMetrics` says to send where nothing else is negotiated.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The answer to a probe: `Ok` with what does not work although the process does, in lines; `Err` says what is wrong.
pub type Probe = Box<dyn Fn() -> Result<String, String> + Send + Sync>;

/// What the admin server serves.
pub struct Admin {
    /// Whether the process works; if not, it should be restarted.
    pub live: Probe,
    /// Whether the process is of use at present.
    pub ready: Probe,
    /// The metrics.
    pub registry: Registry,
}

/// Serves on `listener` for as long as it is polled.
///
/// # Errors
/// When the listener fails.
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
