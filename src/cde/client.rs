//! The HTTP client of the CDE API.
//!
//! Each call sends at most one HTTP request and ends within the timeout, including the body of the response.
//! [`FailureKind`] shows whether a failed call may have had an effect.

use std::path::PathBuf;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, InvalidHeaderValue};
use http::{Method, StatusCode};
use jiff::Timestamp;
use reqwest::Request;
use tracing::Instrument as _;

use super::message::{presentable, redact};
use super::model::{Answer, Call, CallId, Connector, Data, Endpoint, Failure, FailureKind, Shape};
use super::token::Unsendable;
use super::{BaseUrl, ConfigError, Token, trace, wire};

use crate::http_client::{self, read_body, retry_at, root_cause};
use crate::runtime::clock;

/// A larger body of a 2xx response (in bytes) is unreadable.
const MAX_BODY: usize = 8 * 1024 * 1024;
/// A larger body of another response (in bytes) is not one of the CDE API.
const MAX_ERROR_BODY: usize = 64 * 1024;
/// The URL template of a read, for traces.
const READ: &str = "/connectors/{id}";

/// The configuration of a [`Client`].
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The base URL of the API.
    pub base: BaseUrl,
    /// The limit for one whole call: connecting, request, response and its body.
    pub timeout: Duration,
    /// A PEM file with CA certificates to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// The `User-Agent` of every call, for example `cde-operator/1.2.3`.
    pub user_agent: String,
}

/// A client of the CDE API. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: BaseUrl,
    timeout: Duration,
}

impl Client {
    /// Creates a client without contacting anything, as [`http_client::build`] does.
    ///
    /// # Errors
    /// Fails like [`http_client::build`].
    pub fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        let options = http_client::Options {
            timeout: config.timeout,
            ca_file: config.ca_file.clone(),
            user_agent: config.user_agent.clone(),
        };
        let http = http_client::build(config.base.url(), &options)?;
        Ok(Self { http, base: config.base.clone(), timeout: config.timeout })
    }

    /// Sends `call` once, as part of the current span, and returns the state after it.
    ///
    /// # Errors
    /// Fails unless a readable 2xx response arrives within the timeout; [`FailureKind`] says how far the call got.
    /// After a 401, a current token with another [`Token::generation`] is worth another attempt.
    pub async fn send(&self, call: &Call, id: &CallId, token: &Token) -> Result<Answer, Failure> {
        let Endpoint { method, template, values, answer } = call.endpoint();
        let request = self.request(method, &segments(template, &values), id, token)?;
        let success = self.exchange(request, template, token).await?;
        let (data, missing_fields) = match answer {
            Shape::Connector => wire::connector(&success.body).map(|(mut connector, missing)| {
                redact(connector.texts_mut(), token);
                (Data::Connector(Box::new(connector)), missing)
            }),
            Shape::Version => wire::version(&success.body).map(|(mut version, missing)| {
                redact(version.texts_mut(), token);
                (Data::Version(Box::new(version)), missing)
            }),
        }
        .map_err(|why| success.unreadable(&why.to_string(), token))?;
        Ok(Answer { code: success.code, data, missing_fields })
    }

    /// Reads a connector with `GET /connectors/{publicId}`, as part of `span`. Malformed fields are
    /// [`Field::Missing`].
    ///
    /// # Errors
    /// Fails like [`Client::send`].
    ///
    /// [`Field::Missing`]: super::model::Field::Missing
    pub async fn connector(
        &self,
        connector: &str,
        id: &CallId,
        token: &Token,
    ) -> Result<Answer<Connector>, Failure> {
        let request = self.request(Method::GET, &["connectors", connector], id, token)?;
        let success = self.exchange(request, READ, token).await?;
        match wire::connector(&success.body) {
            Ok((mut connector, missing_fields)) => {
                redact(connector.texts_mut(), token);
                Ok(Answer { code: success.code, data: connector, missing_fields })
            }
            Err(why) => Err(success.unreadable(&why.to_string(), token)),
        }
    }

    fn request(&self, method: Method, path: &[&str], id: &CallId, token: &Token) -> Result<Request, Failure> {
        let url =
            self.base.join(path).ok_or_else(|| not_sent("the connector ID is not a valid path segment"))?;
        let mut request = Request::new(method, url);
        let changing = request.method() != Method::GET;
        *request.headers_mut() = headers(id, token, changing).map_err(|why| not_sent(&why.to_string()))?;
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
        let result = self.execute(request, token).instrument(span.clone()).await;
        let code = result.as_ref().map_or_else(Failure::code, |success| Some(success.code));
        trace::end(&span, code, result.as_ref().err());
        result
    }

    /// Sends one request and reads the body of a 2xx response; anything else is a failure.
    async fn execute(&self, request: Request, token: &Token) -> Result<Success, Failure> {
        let mut response =
            self.http.execute(request).await.map_err(|error| self.no_response(error, token))?;
        let (status, retry_at) = (response.status(), retry_at(response.headers(), clock::now()));
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

    fn no_response(&self, error: reqwest::Error, token: &Token) -> Failure {
        let error = error.without_url();
        let why = root_cause(&error);
        let (kind, message) = if error.is_builder() || error.is_connect() {
            (FailureKind::NotSent, format!("cannot connect to the CDE API; nothing was sent: {why}"))
        } else if error.is_timeout() {
            let timeout = humantime::format_duration(self.timeout);
            (FailureKind::NoAnswer, format!("no response within {timeout}"))
        } else {
            (FailureKind::NoAnswer, format!("the connection was closed before a response: {why}"))
        };
        Failure { kind, message: presentable(&message, token), retry_at: None }
    }
}

/// A 2xx response whose body is not decoded yet.
struct Success {
    code: u16,
    retry_at: Option<Timestamp>,
    body: Vec<u8>,
}

impl Success {
    fn unreadable(&self, why: &str, token: &Token) -> Failure {
        Failure {
            kind: FailureKind::Unreadable { code: self.code },
            message: presentable(&format!("the response to a successful call cannot be read: {why}"), token),
            retry_at: self.retry_at,
        }
    }
}

/// Why the headers of a request cannot be built.
#[derive(Debug, thiserror::Error)]
enum InvalidHeaders {
    #[error(transparent)]
    Token(#[from] Unsendable),
    #[error("the operation ID is not a valid header value")]
    Operation(#[from] InvalidHeaderValue),
}

fn headers(id: &CallId, token: &Token, changing: bool) -> Result<HeaderMap, InvalidHeaders> {
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

/// Returns the segments of `template` with the values in place of its placeholders, in their order.
fn segments<'a>(template: &'a str, values: &[&'a str]) -> Vec<&'a str> {
    let mut values = values.iter().copied();
    let parts = template.split('/').skip(1);
    parts.map(|part| if part.starts_with('{') { values.next().unwrap_or_default() } else { part }).collect()
}

fn not_sent(why: &str) -> Failure {
    Failure { kind: FailureKind::NotSent, message: format!("nothing was sent: {why}"), retry_at: None }
}

/// Returns the failure for a response other than 2xx; its body shows whether the CDE API sent it.
fn refusal(status: StatusCode, body: &[u8], retry_at: Option<Timestamp>, token: &Token) -> Failure {
    let code = status.as_u16();
    let message = wire::message(body);
    let kind = FailureKind::Status { code, from_api: message.is_some() };
    let message = message.map(|text| presentable(&text, token)).filter(|text| !text.is_empty());
    let message = message.unwrap_or_else(|| match code {
        300..400 => "redirects are not followed; check --url".to_owned(),
        400..500 => format!(
            "this {code} carries no message of the CDE API, so a proxy or gateway may have sent it; check --url and \
             all proxies in between"
        ),
        _ => format!("this {code} carries no message of the CDE API"),
    });
    Failure { kind, message, retry_at }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn token() -> Token {
        Token::fixed("canary-token")
    }

    fn id(operation: &str) -> CallId {
        CallId { operation: operation.into(), attempt: 3 }
    }

    #[test]
    fn only_changing_calls_have_an_idempotency_key_and_a_length() {
        for (changing, key, length) in [(true, Some("op"), Some("0")), (false, None, None)] {
            let headers = headers(&id("op"), &token(), changing).unwrap();
            let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!((text("idempotency-key"), text("content-length")), (key, length));
            assert_eq!((text("x-request-id"), text("accept")), (Some("op-3"), Some("application/json")));
            assert_eq!(text("authorization"), Some("Bearer canary-token"));
        }
        assert!(headers(&id("a\nb"), &token(), false).is_err());
    }

    #[test]
    fn a_refusal_has_the_message_of_the_api_or_says_that_there_is_none() {
        let api = r#"{"message": "No, canary-token."}"#;
        for (code, body, from_api, message) in [
            (404, api, true, "No, [redacted]."),
            (503, api, true, "No, [redacted]."),
            (302, "", false, "redirects are not followed; check --url"),
            (399, "", false, "redirects are not followed; check --url"),
            (299, "", false, "this 299 carries no message of the CDE API"),
            (500, "<html>", false, "this 500 carries no message of the CDE API"),
            (999, r#"{"message": "\n"}"#, true, "this 999 carries no message of the CDE API"),
        ] {
            let failure = refusal(
                StatusCode::from_u16(code).unwrap(),
                body.as_bytes(),
                Some(Timestamp::UNIX_EPOCH),
                &token(),
            );
            let kind = FailureKind::Status { code, from_api };
            assert_eq!(
                failure,
                Failure { kind, message: message.into(), retry_at: Some(Timestamp::UNIX_EPOCH) }
            );
        }
        for code in [400, 404, 499] {
            let failure = refusal(StatusCode::from_u16(code).unwrap(), b"<html>", None, &token());
            assert!(
                failure.message.contains("a proxy or gateway may have sent it; check --url"),
                "{failure:?}"
            );
        }
    }
}
