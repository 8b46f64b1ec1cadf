//! The loopback server that the browser is sent back to (RFC 8252, section 7.3).

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::redirect::{Expected, Redirect};
use crate::error::Error;

const PATH: &str = "/callback";
/// How long a browser that reads slowly keeps the program from ending.
const GRACE: Duration = Duration::from_secs(1);
/// The pages contain neither scripts nor anything of the request, and no browser stores or frames them.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONNECTION, "close"),
];

type Answer = Result<SecretString, Error>;

/// A server on 127.0.0.1 that ends when it is dropped.
pub(crate) struct Listener {
    redirect_uri: String,
    answer: oneshot::Receiver<Answer>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

struct Shared {
    expected: Expected,
    /// Taken by the first redirect that counts.
    answer: Mutex<Option<oneshot::Sender<Answer>>>,
}

impl Listener {
    /// Listens on this port; 0 means any free one.
    pub(super) async fn start(port: u16, expected: Expected) -> Result<Self, Error> {
        let refuse = |error: std::io::Error| {
            Error::Usage(format!(
                "cannot listen on port {port} of 127.0.0.1 ({error}): choose another with --port"
            ))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;
        let (send, answer) = oneshot::channel();
        let shared = Arc::new(Shared { expected, answer: Mutex::new(Some(send)) });
        let (stop, stopped) = oneshot::channel::<()>();
        let app = Router::new().fallback(respond).with_state(shared);
        let server = axum::serve(listener, app).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        // It accepts until it is told to stop; an error of one connection does not end it.
        let server = tokio::spawn(async move {
            let _ = server.await;
        });
        Ok(Self { redirect_uri: format!("http://{address}{PATH}"), answer, stop: Some(stop), server })
    }

    /// Returns the redirect URI of this login.
    pub(super) fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Waits for the first redirect that belongs to this login.
    pub(super) async fn answer(&mut self) -> Answer {
        let answer = (&mut self.answer).await;
        answer
            .unwrap_or_else(|_| Err(Error::Login("the loopback server has ended: run this again".to_owned())))
    }

    /// Stops, but lets the browser read the page under way.
    pub(crate) async fn finish(mut self) {
        drop(self.stop.take());
        let _ = tokio::time::timeout(GRACE, &mut self.server).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn respond(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if request.uri().path() != PATH {
        return page(StatusCode::NOT_FOUND, "There is nothing here", "");
    }
    // A HEAD request of a scanner must not spend the login.
    if request.method() != Method::GET {
        return page(StatusCode::METHOD_NOT_ALLOWED, "There is nothing here", "");
    }
    let answer = match shared.expected.read(request.uri().query().unwrap_or_default()) {
        Redirect::Foreign => {
            return page(
                StatusCode::BAD_REQUEST,
                "This is not the login that the terminal waits for",
                "Nothing happened.",
            );
        }
        Redirect::Answer(answer) => answer,
    };
    let waiting = shared.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(waiting) = waiting else {
        return page(StatusCode::CONFLICT, "This login has been used already", "You can close this page.");
    };
    let response = if answer.is_ok() {
        let next = "The terminal shows whether the login is complete. You can close this page.";
        page(StatusCode::OK, "Return to the terminal", next)
    } else {
        page(StatusCode::OK, "There is no login", "The terminal shows why. You can close this page.")
    };
    // Nobody waits any more if the login was pasted meanwhile.
    let _ = waiting.send(answer);
    response
}

fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let body = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>kubectl cde login</title>\n<h1>{title}</h1>\n<p>{text}</p>\n</html>\n"
    );
    (status, HEADERS, body).into_response()
}
