//! Whether watches make progress: each is renewed again and again, so one that was not renewed for long is stuck.
//!
//! A report of an operator that hung for good while its pod looked healthy is why liveness hangs on this.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use http::{Request, Response};
use tower::{Layer, Service};

/// When each watch, by its path, was last answered with a success; cheap to clone.
#[derive(Clone, Debug)]
pub struct Progress {
    started: Instant,
    answered: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { started: Instant::now(), answered: Arc::default() }
    }
}

impl Progress {
    /// The longest time since a watch was answered; since the start where none was.
    #[must_use]
    pub fn longest_silence(&self) -> Duration {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.values().min().unwrap_or(&self.started).elapsed()
    }

    fn note(&self, path: String) {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).insert(path, Instant::now());
    }
}

impl<S> Layer<S> for Progress {
    type Service = Noting<S>;

    fn layer(&self, inner: S) -> Noting<S> {
        Noting { inner, progress: self.clone() }
    }
}

/// Notes which paths are answered.
#[derive(Clone, Debug)]
pub struct Noting<S> {
    inner: S,
    progress: Progress,
}

impl<S, A, B> Service<Request<A>> for Noting<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let progress = self.progress.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            if answer.status().is_success() {
                progress.note(path);
            }
            Ok(answer)
        })
    }
}
