//! Connections and calls: arrive, wait for a hold, take effect, wait for a hold, answer.

use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::fault::{self, Fault};
use super::hold::{self, Decision, Hold, HoldPoint};
use super::ledger::{Answered, Book, Call};
use super::operation::{self, Route};
use super::reply::{Cut, Reply, ReplyBody};
use super::slow::{Pace, Slow};
use super::store::{Outcome, Store};
use super::{control, lock};
use crate::oauth_client::OAuthClient;

/// The state that all connections share. No lock is held across an await.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) store: Mutex<Store>,
    pub(super) faults: Mutex<Vec<Fault>>,
    pub(super) holds: Mutex<Vec<Hold>>,
    pub(super) book: Book,
    pub(super) introspection: Option<(OAuthClient, Url)>,
}

/// Accepts connections until `stop` resolves or its sender is dropped, then cuts them all.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    mut stop: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            _ = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                // An error concerns only that one connection, or is a temporary lack of file handles.
                let Ok((stream, _)) = accepted else { tokio::task::yield_now().await; continue };
                number += 1;
                connections.spawn(connect(stream, tls.clone(), shared.clone(), number));
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn connect(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>, number: u64) {
    // Without `TCP_NODELAY`, small responses wait for acknowledgments. If the socket rejects it, it is only slower.
    drop(stream.set_nodelay(true));
    match tls {
        None => talk(stream, shared, number).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                talk(stream, shared, number).await;
            }
        }
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>, number: u64) {
    let pace = Pace::default();
    let stream = Slow::new(stream, pace.clone());
    let service = service_fn(move |request| answer(shared.clone(), number, pace.clone(), request));
    // It fails when a cut is wanted and when the client goes away. The ledger has both.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(
    shared: Arc<Shared>,
    connection: u64,
    pace: Pace,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Cut> {
    if request.uri().path().starts_with(control::PREFIX) {
        return control::answer(&shared, request).await.send(&pace).await;
    }
    let route = operation::route(request.method(), request.uri().path());
    let call = arrival(&shared, connection, &request, route.as_ref());
    let authorized = call.authorized;
    let token = bearer_token(request.headers());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let sequence = shared.book.arrived(call);
    let entry = Entry { shared: shared.clone(), sequence };
    // A separate task, so that the call is carried out even if its connection goes away.
    let work = tokio::spawn(async move {
        let authorized = authorized || introspect(&shared, sequence, token).await;
        carry_out(shared, sequence, route, query, authorized).await
    });
    let reply = work.await.unwrap_or_else(|_| Reply::cut());
    entry.shared.book.answered(sequence, reply.answered());
    reply.send(&pace).await
}

/// Records, if the call is dropped before its response, that the client was gone.
struct Entry {
    shared: Arc<Shared>,
    sequence: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.shared.book.answered(self.sequence, Answered::Abandoned);
    }
}

/// Asks the authorization server, if there is one, whether the token is good.
async fn introspect(shared: &Shared, sequence: u64, token: Option<String>) -> bool {
    let (Some((client, url)), Some(token)) = (&shared.introspection, token) else { return false };
    let active = client.is_active(url, &token).await.unwrap_or(false);
    if active {
        shared.book.authorized(sequence);
    }
    active
}

async fn carry_out(
    shared: Arc<Shared>,
    sequence: u64,
    route: Option<Route>,
    query: String,
    authorized: bool,
) -> Reply {
    let fault = fault::strike(&mut lock(&shared.faults), route.as_ref());
    let late = fault.as_ref().is_some_and(|fault| fault.after_effect);
    let pause = fault.as_ref().map(Fault::pause).unwrap_or_default();
    if fault.as_ref().is_some_and(|fault| !fault.passes()) {
        shared.book.struck(sequence);
    }
    if held(&shared, route.as_ref(), HoldPoint::BeforeEffect).await == Decision::Cut {
        return Reply::cut();
    }
    if !late && !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    let commit = fault.as_ref().is_none_or(|fault| fault.after_effect || fault.passes());
    let outcome = match &route {
        None => Outcome::ingress(),
        Some(_) if !authorized => Store::unauthorized(),
        Some(route) => {
            let mut store = lock(&shared.store);
            if commit {
                // Within the lock, so that the times have the order in which the operations were done.
                shared.book.carried_out(sequence);
            }
            store.perform(route, &query, commit)
        }
    };
    if outcome.effect {
        shared.book.took_effect(sequence, route.as_ref().and_then(|route| route.connector));
    }
    if held(&shared, route.as_ref(), HoldPoint::AfterEffect).await == Decision::Cut {
        return Reply::cut();
    }
    if late && !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    Reply::compose(&outcome, fault.as_ref())
}

async fn held(shared: &Shared, route: Option<&Route>, point: HoldPoint) -> Decision {
    let hold = hold::take(&mut lock(&shared.holds), route, point);
    match hold {
        Some(hold) => hold.decided().await,
        None => Decision::Release,
    }
}

fn arrival(shared: &Shared, connection: u64, request: &Request<Incoming>, route: Option<&Route>) -> Call {
    let headers = request.headers();
    let token = bearer_token(headers);
    Call {
        sequence: 0,
        at: Timestamp::now(),
        connection,
        method: request.method().to_string(),
        path: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
        operation: route.map(|route| route.operation),
        connector: route.and_then(|route| route.connector),
        version: route.and_then(|route| route.version.clone()),
        idempotency_key: text(headers, "idempotency-key"),
        request_id: text(headers, "x-request-id"),
        user_agent: text(headers, "user-agent"),
        traceparent: text(headers, "traceparent"),
        authorization: headers.contains_key("authorization"),
        authorized: token.is_some_and(|token| lock(&shared.store).tokens.contains(&token)),
        answered: Answered::Pending,
        effect: false,
        carried_out: None,
        struck: false,
    }
}

fn bearer_token(headers: &HeaderMap) -> Option<String> {
    text(headers, "authorization")?.strip_prefix("Bearer ").map(str::to_owned)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
