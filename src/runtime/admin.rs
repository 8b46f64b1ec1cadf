//! The admin server: `/livez`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use super::exposition::render;

/// What a probe is answered: `Err` says what is wrong.
pub type Probe = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What the admin server tells.
pub struct Admin {
    /// Whether the process does its work; where not, it should be restarted.
    pub live: Probe,
    /// Whether it is of use at present.
    pub ready: Probe,
    /// The figures.
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
        .route("/metrics", get(metrics))
        .with_state(Arc::new(admin));
    axum::serve(listener, router).await
}

fn answer(probe: Result<(), String>) -> (StatusCode, String) {
    match probe {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn metrics(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    match render(&admin.registry, accept) {
        Ok((kind, text)) => (StatusCode::OK, [(header::CONTENT_TYPE, kind)], text),
        Err(error) => {
            let kind = "text/plain; charset=utf-8";
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, kind)], error.to_string())
        }
    }
}
