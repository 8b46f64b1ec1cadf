//! Where traces go: which collector, by which variables, and how a batch is sent there.
//!
//! The flag goes before OpenTelemetry's own variables. They are read by their names here, where they decide whether
//! and where to; the rest by OpenTelemetry's library: `OTEL_EXPORTER_OTLP_HEADERS` (which may hold secrets, and is
//! shown nowhere), `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_…`.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use reqwest::{Certificate, Url};
use tokio::runtime::Handle;

use crate::text::{clean, describe};

/// The flag of the endpoint, as sentences name it.
const FLAG: &str = "--otlp-endpoint";
/// Variables of the endpoint: the first is the very address, the second the base of several.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// Below a base.
const PATH: &str = "v1/traces";
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const COMPRESSIONS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const CERTIFICATES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
/// A batch is sent by then, unless a variable says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);
/// More of an answer (in bytes) is not read.
const MAX_ANSWER: usize = 64 * 1024;

/// A collector that takes OTLP over HTTP; nothing has been sent to it yet.
pub struct Collector {
    url: Url,
    timeout: Duration,
    http: reqwest::Client,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Collector").field(&self.url.host_str()).finish()
    }
}

impl Collector {
    /// The one that `flag` names, or else the environment; `None` where traces are off. The process must have
    /// installed a default `rustls::crypto::CryptoProvider`.
    ///
    /// # Errors
    /// A sentence on what cannot be used.
    pub fn configured(
        flag: Option<&str>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, String> {
        let Some(Target { url, timeout, roots }) = target(flag, environment)? else { return Ok(None) };
        let http = client(&url, timeout, roots)?;
        Ok(Some(Self { url, timeout, http }))
    }

    /// An exporter whose requests go out by the present runtime.
    pub(super) fn exporter(self) -> Result<SpanExporter, String> {
        let sender = Sender { http: self.http, runtime: Handle::current(), lost: AtomicBool::new(false) };
        let builder = SpanExporter::builder().with_http().with_http_client(sender);
        let exporter = builder.with_endpoint(self.url).with_timeout(self.timeout).build();
        exporter.map_err(|error| format!("traces cannot be sent: {error}"))
    }
}

/// What is configured.
#[derive(Debug, PartialEq)]
struct Target {
    url: Url,
    timeout: Duration,
    /// A variable, and the file that it names.
    roots: Option<(&'static str, String)>,
}

fn target(
    flag: Option<&str>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Option<Target>, String> {
    // An empty variable is as good as none, says OpenTelemetry.
    let variable = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    let first = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, variable(name)?)));
    let says = |name, word| variable(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(word));
    if says("OTEL_SDK_DISABLED", "true") || says("OTEL_TRACES_EXPORTER", "none") {
        return Ok(None);
    }
    let flag = flag.filter(|text| !text.trim().is_empty()).map(|text| (FLAG, text.to_owned()));
    let Some((name, text)) = flag.or_else(|| first(ENDPOINTS)) else { return Ok(None) };
    let url = endpoint(&text, name != ENDPOINTS[0]).map_err(|why| format!("{name} {why}"))?;
    for (names, can) in [(PROTOCOLS, "http/protobuf"), (COMPRESSIONS, "none")] {
        if let Some((name, value)) = first(names).filter(|(_, value)| value.trim() != can) {
            let value = clean(&value, 32);
            return Err(format!("{name}={value} cannot be used: traces are sent by {can}; set it to that"));
        }
    }
    let timeout =
        match first(TIMEOUTS) {
            None => TIMEOUT,
            Some((name, value)) => value.trim().parse().map(Duration::from_millis).map_err(|_| {
                format!("{name} is no number of milliseconds; write for example {name}=10000")
            })?,
        };
    Ok(Some(Target { url, timeout, roots: first(CERTIFICATES) }))
}

/// The address of the collector's intake; below `text` if that is a base. The sentence never repeats the text.
fn endpoint(text: &str, base: bool) -> Result<Url, String> {
    let example = "write it as http://otel-collector.observability:4318";
    let mut url = Url::parse(text.trim()).map_err(|why| format!("is not a URL ({why}); {example}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("must begin with http:// or https://; {example}"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "must not hold a user or password; put a header into OTEL_EXPORTER_OTLP_HEADERS".to_owned()
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must end with the host or a path; remove what begins with ? or #".to_owned());
    }
    if base && let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(PATH.split('/'));
    }
    Ok(url)
}

/// The client of the exporter, which itself repeats what the collector did not take, as long as the time-out lets it.
fn client(url: &Url, timeout: Duration, roots: Option<(&str, String)>) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .timeout(timeout);
    if let Some((name, path)) = roots {
        let pem =
            std::fs::read(Path::new(&path)).map_err(|error| format!("{name} cannot be read: {error}"))?;
        let roots =
            Certificate::from_pem_bundle(&pem).map_err(|error| format!("{name} is no PEM: {error}"))?;
        builder = builder.tls_certs_merge(roots);
    }
    let host = url.host_str().unwrap_or_default();
    builder
        .build()
        .map_err(|error| format!("the collector {host} cannot be reached by HTTPS: {}", describe(&error)))
}

/// What tells of this process; the environment goes before `own`.
pub(super) fn resource(own: impl IntoIterator<Item = (&'static str, String)>) -> Resource {
    let own = own.into_iter().map(|(key, value)| KeyValue::new(key, value));
    let resource = Resource::builder_empty()
        .with_attributes(own)
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.trim().is_empty() => resource.with_service_name(name).build(),
        _ => resource.build(),
    }
}

/// Sends batches for the exporter, whose thread belongs to no runtime.
#[derive(Debug)]
struct Sender {
    http: reqwest::Client,
    runtime: Handle,
    /// The last batch did not arrive: it is said once, not for each.
    lost: AtomicBool,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        request.headers_mut().values_mut().for_each(|value| value.set_sensitive(true));
        let request = request.try_into()?;
        let sent = self.runtime.spawn(exchange(self.http.clone(), request)).await?;
        self.note(&sent);
        sent
    }
}

impl Sender {
    fn note(&self, sent: &Result<Response<Bytes>, HttpError>) {
        let why = match sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status().as_u16())),
            Err(error) => Some(describe(error.as_ref())),
        };
        let lost = self.lost.swap(why.is_some(), Ordering::Relaxed);
        match why {
            Some(error) if !lost => tracing::warn!(
                error,
                "traces do not reach the collector; it should take OTLP over HTTP, as a rule on port 4318"
            ),
            None if lost => tracing::info!("traces reach the collector again"),
            _ => {}
        }
    }
}

async fn exchange(http: reqwest::Client, request: reqwest::Request) -> Result<Response<Bytes>, HttpError> {
    let mut answer = http.execute(request).await.map_err(reqwest::Error::without_url)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(format!("its answer is larger than {MAX_ANSWER} bytes").into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut whole = Response::new(body.into());
    *whole.status_mut() = answer.status();
    // It may say when to come back.
    std::mem::swap(whole.headers_mut(), answer.headers_mut());
    Ok(whole)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may end at what they did not expect")]
mod tests {
    use super::*;

    /// Where to, by the flag and these variables.
    fn url(flag: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let value = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Ok(target(flag, value)?.map(|target| target.url.to_string()))
    }

    #[test]
    fn traces_go_where_the_flag_says_then_where_the_narrower_variable_says_else_nowhere() {
        let (base, exact) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let (b, e) = ((base, "http://b:4318"), (exact, "https://e/intake"));
        for (flag, variables, expected) in [
            (None, vec![], None),
            (Some(" "), vec![(base, ""), (exact, " ")], None),
            (Some("http://f:4318"), vec![b, e], Some("http://f:4318/v1/traces")),
            (Some("http://f:4318/prefix/"), vec![], Some("http://f:4318/prefix/v1/traces")),
            (None, vec![b], Some("http://b:4318/v1/traces")),
            (None, vec![b, e], Some("https://e/intake")),
            (None, vec![b, ("OTEL_TRACES_EXPORTER", "otlp")], Some("http://b:4318/v1/traces")),
            (Some("http://f"), vec![("OTEL_SDK_DISABLED", "TRUE")], None),
            (Some("http://f"), vec![("OTEL_SDK_DISABLED", "false")], Some("http://f/v1/traces")),
            (Some("http://f"), vec![("OTEL_TRACES_EXPORTER", "none")], None),
        ] {
            let found = url(flag, &variables);
            assert_eq!(found.unwrap().as_deref(), expected, "{flag:?} {variables:?}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named_in_a_sentence_without_what_may_be_secret() {
        for (variable, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "canary"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "canary:4318"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://canary"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://canary@host"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host/?canary"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://host/#canary"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "canary"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ] {
            let variables = [(variable, value), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host:4318")];
            let why = url(None, &variables).unwrap_err();
            assert!(why.starts_with(variable) && !why.contains("canary"), "{variable}={value}: {why}");
        }
        assert!(url(Some("canary"), &[]).unwrap_err().starts_with("--otlp-endpoint is not a URL"));
    }
}
