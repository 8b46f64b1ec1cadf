//! One call, one request.
//!
//! What is promised: each call of a method of [`Client`] sends at most one HTTP request and ends within the
//! time-out, body included. Nothing is repeated, no redirect is followed, and an answer's body is read up to
//! a bound. What came of it says whether the API may have acted: see [`FailureKind`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, InvalidHeaderValue};
use http::{Method, StatusCode};
use jiff::Timestamp;
use reqwest::{Certificate, Request, Response};
use tracing::Instrument as _;

use super::message::{presentable, redact, root_cause};
use super::model::{Answer, Call, CallId, Connector, Data, Failure, FailureKind};
use super::retry_after::retry_at;
use super::{BaseUrl, ConfigError, Token, trace, wire};

/// A longer body of a 2xx answer (in bytes) is unreadable.
const MAX_BODY: usize = 8 * 1024 * 1024;
/// A longer body of another answer (in bytes) holds no message of the CDE API's.
const MAX_ERROR_BODY: usize = 64 * 1024;
/// A connection that takes longer than this, or than half the time-out, will not come to stand. Shorter than
/// the time-out, so that it is known that nothing was sent.
const MAX_CONNECT: Duration = Duration::from_secs(10);

/// The paths of the calls, as traces name them.
const RESTORE: &str = "/connectors/{id}/restore-from-bin";
const ROLLBACK: &str = "/connectors/{id}/versions/{version}/migration/rollback";
const READ: &str = "/connectors/{id}";

/// How to reach the CDE API.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where it is.
    pub base: BaseUrl,
    /// For one whole call: connection, request, answer and its body.
    pub timeout: Duration,
    /// A PEM file with roots to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// `User-Agent` of every call, for example `cde-operator/1.2.3`.
    pub user_agent: String,
}

/// The CDE API as its callers see it. Cheap to clone; all clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: BaseUrl,
    timeout: Duration,
}

impl Client {
    /// Prepares a client; nothing is contacted yet. The process must have installed a default
    /// `rustls::crypto::CryptoProvider`.
    ///
    /// Proxies come from the usual environment variables, except that a loopback host is always reached
    /// directly: the right to speak to it unencrypted does not extend to a proxy.
    ///
    /// # Errors
    /// The CA file cannot be used, the system has no CA certificates, or the user agent is no header value.
    pub fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(ConfigError("this process has installed no TLS provider".into()));
        }
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .tcp_nodelay(true)
            .timeout(config.timeout)
            .connect_timeout(MAX_CONNECT.min(config.timeout / 2))
            .https_only(config.base.is_https())
            .user_agent(&config.user_agent);
        if config.base.is_loopback() {
            builder = builder.no_proxy();
        }
        if let Some(path) = &config.ca_file {
            builder = builder.tls_certs_merge(roots(path)?);
        }
        let http = builder.build().map_err(|error| {
            let (with, advice) = match &config.ca_file {
                Some(path) => (format!(" with --ca-file {}", path.display()), "correct that file"),
                None => (String::new(), "install the system's CA certificates, or name some by --ca-file"),
            };
            ConfigError(format!("cannot prepare HTTPS calls{with} ({}); {advice}", root_cause(&error)))
        })?;
        Ok(Self { http, base: config.base.clone(), timeout: config.timeout })
    }

    /// Performs `call` once, as a part of the current span.
    ///
    /// # Errors
    /// See [`FailureKind`] for how far it got. After a 401 compare `token.generation()` with that of the
    /// token which is current then.
    pub async fn send(&self, call: &Call, id: &CallId, token: &Token) -> Result<Answer, Failure> {
        let (method, path, template) = match call {
            Call::RestoreFromBin { connector } => {
                (Method::PATCH, vec!["connectors", connector, "restore-from-bin"], RESTORE)
            }
            Call::RollBackMigration { connector, version } => {
                let path = vec!["connectors", connector, "versions", version, "migration", "rollback"];
                (Method::POST, path, ROLLBACK)
            }
        };
        let request = self.request(method, &path, id, token)?;
        let success = self.exchange(request, template, token).await?;
        let (data, odd) = match call {
            Call::RestoreFromBin { .. } => wire::connector(&success.body).map(|(mut connector, odd)| {
                redact(connector.texts_mut(), token);
                (Data::Connector(Box::new(connector)), odd)
            }),
            Call::RollBackMigration { .. } => wire::version(&success.body).map(|(mut version, odd)| {
                redact(version.texts_mut(), token);
                (Data::Version(Box::new(version)), odd)
            }),
        }
        .map_err(|why| success.unreadable(&why.to_string(), token))?;
        Ok(Answer { data, odd })
    }

    /// Reads a connector: `GET /connectors/{publicId}`. What is odd in it is [`Field::Missing`].
    ///
    /// # Errors
    /// As for [`Client::send`].
    ///
    /// [`Field::Missing`]: super::model::Field::Missing
    pub async fn connector(&self, connector: &str, id: &CallId, token: &Token) -> Result<Connector, Failure> {
        let request = self.request(Method::GET, &["connectors", connector], id, token)?;
        let success = self.exchange(request, READ, token).await?;
        match wire::connector(&success.body) {
            Ok((mut connector, _)) => {
                redact(connector.texts_mut(), token);
                Ok(connector)
            }
            Err(why) => Err(success.unreadable(&why.to_string(), token)),
        }
    }

    fn request(&self, method: Method, path: &[&str], id: &CallId, token: &Token) -> Result<Request, Failure> {
        let url = self.base.below(path).ok_or_else(|| not_sent("the connector id is no path segment"))?;
        let mut request = Request::new(method, url);
        let changing = request.method() != Method::GET;
        *request.headers_mut() =
            headers(id, token, changing).map_err(|_| not_sent("the operation id is no header value"))?;
        Ok(request)
    }

    /// Sends one request, with a span of its own.
    async fn exchange(
        &self,
        mut request: Request,
        template: &'static str,
        token: &Token,
    ) -> Result<Success, Failure> {
        let span = trace::begin(&mut request, template);
        let result = self.exchanged(request, token).instrument(span.clone()).await;
        let code = result.as_ref().map_or_else(Failure::code, |success| Some(success.code));
        trace::end(&span, code, result.as_ref().err());
        result
    }

    /// Sends one request and reads a 2xx answer's body; all else is a failure.
    async fn exchanged(&self, request: Request, token: &Token) -> Result<Success, Failure> {
        let mut response = self.http.execute(request).await.map_err(|error| self.unanswered(error, token))?;
        let (status, retry_at) = (response.status(), retry_at(response.headers(), Timestamp::now()));
        if !status.is_success() {
            let body = read_body(&mut response, MAX_ERROR_BODY).await.unwrap_or_default();
            return Err(refusal(status, &body, retry_at, token));
        }
        let mut success = Success { code: status.as_u16(), retry_at, body: Vec::new() };
        match read_body(&mut response, MAX_BODY).await {
            Ok(body) => success.body = body,
            Err(why) => return Err(success.unreadable(&why, token)),
        }
        Ok(success)
    }

    fn unanswered(&self, error: reqwest::Error, token: &Token) -> Failure {
        let error = error.without_url();
        let why = root_cause(&error);
        let (kind, message) = if error.is_builder() || error.is_connect() {
            (FailureKind::NotSent, format!("cannot connect to the CDE API, nothing was sent: {why}"))
        } else if error.is_timeout() {
            let timeout = humantime::format_duration(self.timeout);
            (FailureKind::NoAnswer, format!("no answer within {timeout}"))
        } else {
            (FailureKind::NoAnswer, format!("the connection ended before an answer: {why}"))
        };
        Failure { kind, message: presentable(&message, token), retry_at: None }
    }
}

/// A 2xx answer, whatever its body is worth.
struct Success {
    code: u16,
    retry_at: Option<Timestamp>,
    body: Vec<u8>,
}

impl Success {
    fn unreadable(&self, why: &str, token: &Token) -> Failure {
        Failure {
            kind: FailureKind::Unreadable { code: self.code },
            message: presentable(&format!("a success that cannot be read: {why}"), token),
            retry_at: self.retry_at,
        }
    }
}

fn headers(id: &CallId, token: &Token, changing: bool) -> Result<HeaderMap, InvalidHeaderValue> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, token.authorization()?);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert("x-request-id", HeaderValue::try_from(format!("{}-{}", id.operation, id.attempt))?);
    if changing {
        headers.insert("idempotency-key", HeaderValue::try_from(&id.operation)?);
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    Ok(headers)
}

fn not_sent(why: &str) -> Failure {
    Failure { kind: FailureKind::NotSent, message: format!("nothing was sent: {why}"), retry_at: None }
}

/// An answer other than 2xx; who gave it shows in the body.
fn refusal(status: StatusCode, body: &[u8], retry_at: Option<Timestamp>, token: &Token) -> Failure {
    let code = status.as_u16();
    let said = wire::message(body);
    let kind = FailureKind::Status { code, spoken: said.is_some() };
    let message = said.map(|text| presentable(&text, token)).filter(|text| !text.is_empty());
    let message = message.unwrap_or_else(|| match code {
        300..400 => "a redirect, which is never followed; check --url".to_owned(),
        400..500 => format!(
            "no JSON message of the CDE's came with this {code}: something in between may have answered; check \
             --url and what stands between"
        ),
        _ => format!("no JSON message came with this {code}"),
    });
    Failure { kind, message, retry_at }
}

/// The whole body, or why there is none.
async fn read_body(response: &mut Response, limit: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| {
        let why = if error.is_timeout() { "timed out".into() } else { root_cause(&error.without_url()) };
        format!("its body was cut ({why})")
    })? {
        if body.len() + chunk.len() > limit {
            return Err(format!("its body is larger than {limit} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The certificates of a PEM file.
fn roots(path: &Path) -> Result<Vec<Certificate>, ConfigError> {
    let refuse = |why: String| ConfigError(format!("--ca-file {} {why}", path.display()));
    let pem = std::fs::read(path).map_err(|why| refuse(format!("cannot be read ({why})")))?;
    let roots = Certificate::from_pem_bundle(&pem)
        .map_err(|error| refuse(format!("holds a broken certificate ({})", root_cause(&error))))?;
    if roots.is_empty() {
        return Err(refuse("holds no certificate; put the CA's certificate there in PEM form".into()));
    }
    Ok(roots)
}
