//! Whether the API server responds to watches.
//!
//! A watch is renewed about every minute. If there is no response for long, the process may hang, and a restart may help.
//! A response with any status counts, because a restart cannot fix a refusal.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tower::util::MapResponseLayer;

use crate::runtime::clock;

/// When the API server last responded to a watch; cheap to clone.
#[derive(Clone, Debug)]
pub struct WatchHealth(Arc<Mutex<Instant>>);

impl Default for WatchHealth {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(clock::monotonic())))
    }
}

impl WatchHealth {
    /// Returns the time since the last response, or since watching started.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Notes a response, or that watching starts.
    pub fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = clock::monotonic();
    }

    /// Returns a layer that notes each response of the service below it.
    #[must_use]
    pub fn layer<R>(&self) -> MapResponseLayer<impl FnOnce(R) -> R + Clone + Send + use<R>> {
        let health = self.clone();
        MapResponseLayer::new(move |response| {
            health.note();
            response
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use axum::Router;
    use axum::extract::Path;
    use axum::routing::get;
    use http::{Request, StatusCode};
    use kube::{Config, Error};
    use tokio::net::TcpListener;

    use super::*;
    use crate::runtime::api_server::client;

    /// Whether a request to the API server at `url` ends the silence, and the code of its response.
    async fn ends_silence(url: &str, path: &str) -> (bool, Option<u16>) {
        let health = WatchHealth::default();
        let request = Request::get(path).body(Vec::new()).unwrap();
        let client =
            client(Config::new(url.parse().unwrap()), Duration::from_secs(5), Some(&health)).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let before = health.silence();
        let code = match client.request_text(request).await {
            Ok(_) => Some(200),
            Err(Error::Api(status)) => Some(status.code),
            Err(_) => None,
        };
        (health.silence() < before, code)
    }

    #[tokio::test]
    async fn a_response_of_any_status_counts_as_progress() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/{code}", get(async |Path(code): Path<u16>| StatusCode::from_u16(code).unwrap()));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        for code in [200, 403, 404, 410, 429, 503] {
            assert_eq!(ends_silence(&url, &format!("/{code}")).await, (true, Some(code)));
        }
        server.abort();
        let _ = server.await;
        assert_eq!(ends_silence(&url, "/200").await, (false, None));
    }
}
