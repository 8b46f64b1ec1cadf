//! The way of one request: in, past the faults, to the upstream server, past the faults, and out.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use futures::stream::{self, Stream, StreamExt};
use http::header::{self, HeaderMap, HeaderName};
use http::{Request, Response, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::fault::{Answer, Faults, Point, Verdict};
use super::ledger::Ledger;
use super::rewrite::{self, Rewrite, Rewrites};
use super::rule::Call;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Headers that belong to one connection and not to the request. `Host` and `Content-Length` are set again.
const OF_ONE_CONNECTION: [HeaderName; 6] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::UPGRADE,
    header::HOST,
    HeaderName::from_static("keep-alive"),
];

/// Whether traffic passes, and how often the watches were cut and stalled.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gate {
    pub(super) paused: bool,
    pub(super) watch_cuts: u64,
    pub(super) watch_stalls: u64,
}

/// The state that all connections share.
#[derive(Debug)]
pub(super) struct Relay {
    upstream: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    upstream_url: String,
    pub(super) faults: Faults,
    pub(super) rewrites: Rewrites,
    pub(super) ledger: Ledger,
    pub(super) gate: watch::Sender<Gate>,
    // Requests on their way, which end with the proxy and not with their client.
    under_way: Mutex<JoinSet<()>>,
}

impl Relay {
    /// Without the certificate of an authority, the upstream server is one without TLS.
    pub(super) fn new(upstream_url: &str, ca_pem: Option<&str>) -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        if let Some(ca_pem) = ca_pem {
            roots.add(
                CertificateDer::from_pem_slice(ca_pem.as_bytes())
                    .context("the certificate of the authority is not PEM")?,
            )?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls);
        let connector = if ca_pem.is_some() { connector.https_only() } else { connector.https_or_http() };
        let connector = connector.enable_http1().wrap_connector(tcp);
        Ok(Self {
            upstream: Client::builder(TokioExecutor::new()).build(connector),
            upstream_url: upstream_url.trim_end_matches('/').to_owned(),
            faults: Faults::default(),
            rewrites: Rewrites::default(),
            ledger: Ledger::default(),
            gate: watch::Sender::default(),
            under_way: Mutex::default(),
        })
    }

    /// Ends all requests that are under way.
    pub(super) fn stop(&self) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    /// An error closes the connection without a response.
    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
        let call = Call { method: parts.method, path, query, body };
        let number = self.ledger.note(call.clone());
        let (reply, answer) = oneshot::channel();
        {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            while under_way.try_join_next().is_some() {}
            let relay = Arc::clone(&self);
            under_way.spawn(async move {
                if let Some(response) = relay.carry(number, call, parts.headers).await {
                    let status = response.status().as_u16();
                    if reply.send(response).is_ok() {
                        relay.ledger.update(number, |exchange| exchange.status = Some(status));
                    }
                }
            });
        }
        answer.await.map_err(|_| io::Error::other("cut"))
    }

    /// Returns the response, or `None` if the connection must be cut.
    async fn carry(
        self: &Arc<Self>,
        number: usize,
        call: Call,
        headers: HeaderMap,
    ) -> Option<Response<Body>> {
        self.opened().await;
        match self.faults.verdict(&call, Point::BeforeForward).await {
            Verdict::Pass => {}
            Verdict::Cut => return None,
            Verdict::Answer(answer) => return local(answer),
        }
        self.opened().await;
        self.ledger.update(number, |exchange| exchange.forwarded = true);
        let rewrite = self.rewrites.take(&call);
        let mut request = self.upstream_request(&call, headers)?;
        if rewrite.is_some() {
            // Only an uncompressed response can be rewritten.
            request.headers_mut().remove(header::ACCEPT_ENCODING);
        }
        let response = self.upstream.request(request).await.ok()?;
        let verdict = self.faults.verdict(&call, Point::BeforeReply).await;
        self.opened().await;
        match verdict {
            Verdict::Pass => Some(self.pass_on(number, &call, response, rewrite)),
            Verdict::Cut => None,
            Verdict::Answer(answer) => local(answer),
        }
    }

    fn upstream_request(&self, call: &Call, headers: HeaderMap) -> Option<Request<Full<Bytes>>> {
        let question = if call.query.is_empty() { "" } else { "?" };
        let uri: Uri = format!("{}{}{question}{}", self.upstream_url, call.path, call.query).parse().ok()?;
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        for name in OF_ONE_CONNECTION.iter().chain([&header::CONTENT_LENGTH]) {
            request.headers_mut().remove(name);
        }
        Some(request)
    }

    fn pass_on(
        self: &Arc<Self>,
        number: usize,
        call: &Call,
        response: Response<Incoming>,
        rewrite: Option<Rewrite>,
    ) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        for name in &OF_ONE_CONNECTION {
            parts.headers.remove(name);
        }
        let frames = frames(Arc::clone(self), number, call.is_watch(), body);
        let body = match rewrite {
            None => StreamBody::new(frames).boxed_unsync(),
            Some(rewrite) => {
                parts.headers.remove(header::CONTENT_LENGTH);
                let frames = rewrite::rewritten(frames.boxed(), call.is_watch(), rewrite);
                StreamBody::new(frames).boxed_unsync()
            }
        };
        Response::from_parts(parts, body)
    }

    async fn opened(&self) {
        // An error would mean that the sender, which is in `self`, is gone.
        let _ = self.gate.subscribe().wait_for(|gate| !gate.paused).await;
    }
}

/// Returns the frames of a response as they come: none while paused, an error where a watch is cut, and nothing more
/// where it is stalled.
fn frames(
    relay: Arc<Relay>,
    number: usize,
    watch: bool,
    body: Incoming,
) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send {
    let gate = relay.gate.subscribe();
    let Gate { watch_cuts: cuts, watch_stalls: stalls, .. } = *gate.borrow();
    stream::try_unfold((relay, body, gate), move |(relay, mut body, mut gate)| async move {
        let mut cut_gate = gate.clone();
        let next = async {
            let frame = body.frame().await.transpose().map_err(io::Error::other);
            let _ = gate.wait_for(|gate| !gate.paused).await;
            frame
        };
        let frame = tokio::select! {
            frame = next => frame?,
            _ = cut_gate.wait_for(|gate| watch && gate.watch_cuts != cuts) => return Err(io::Error::other("watch cut")),
        };
        if watch && relay.gate.borrow().watch_stalls != stalls {
            return std::future::pending().await;
        }
        let length = frame.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len);
        relay.ledger.update(number, |exchange| exchange.response_bytes += length as u64);
        Ok(frame.map(|frame| (frame, (relay, body, gate))))
    })
}

fn local(answer: Answer) -> Option<Response<Body>> {
    let body = Full::new(Bytes::from(answer.body)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::builder().status(answer.status);
    if !answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        response = response.header(header::CONTENT_TYPE, "application/json");
    }
    answer
        .headers
        .into_iter()
        .fold(response, |response, (name, value)| response.header(name, value))
        .body(body)
        .ok()
}

/// Listens on a free loopback port. Returns the port and the loop that serves it until it is dropped.
pub(super) async fn listen(relay: Arc<Relay>) -> Result<(u16, impl Future<Output = ()> + Send)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("the proxy cannot listen on a free port")?;
    let port = listener.local_addr()?.port();
    Ok((port, async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Ok((stream, _)) = listener.accept() => {
                    connections.spawn(connection(Arc::clone(&relay), stream));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }))
}

async fn connection(relay: Arc<Relay>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| Arc::clone(&relay).serve(request));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
