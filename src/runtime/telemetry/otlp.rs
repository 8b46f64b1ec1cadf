//! The endpoint of traces, and how a batch is sent.
//!
//! The exporter of OpenTelemetry reads its own variables, but ignores invalid values and does not support CA certificates.
//! So the variables that decide whether, where and how spans are sent are read here. `OTEL_EXPORTER_OTLP_HEADERS` (which
//! may hold secrets), `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_BSP_…` are left to the library.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use reqwest::{Certificate, Url};
use tokio::runtime::Handle;

use crate::dns::Resolver;
use crate::http_client::proxy::is_direct;
use crate::text::{clean, describe};

use super::Ids;

/// Default timeout of a batch.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A collector that accepts OTLP over HTTP.
#[derive(Debug)]
pub struct Collector {
    url: Url,
    timeout: Duration,
    http: reqwest::Client,
}

impl Collector {
    /// Returns the collector that `flag` (the value of `--otlp-endpoint`), or otherwise the environment, names; `None` if
    /// traces are off. The process must have installed a default `rustls::crypto::CryptoProvider`.
    ///
    /// # Errors
    /// A sentence that names the invalid setting, without values that may be secret.
    pub fn configured(
        flag: Option<&str>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, String> {
        // OpenTelemetry treats an empty variable as unset.
        let variable = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
        let is = |name, word| variable(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(word));
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        // The variable for traces goes before the one for all signals.
        let setting = |suffix: &str| {
            let names =
                ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"].map(|it| format!("{it}{suffix}"));
            names.into_iter().find_map(|name| Some((variable(&name)?.trim().to_owned(), name)))
        };
        let flag = flag.map(str::trim).filter(|text| !text.is_empty());
        let flag = flag.map(|text| (text.to_owned(), "--otlp-endpoint".to_owned()));
        let Some((text, name)) = flag.or_else(|| setting("ENDPOINT")) else { return Ok(None) };
        let url = endpoint(&text, !name.contains("TRACES")).ok_or_else(|| {
            format!(
                "{name} is not a URL that spans can be sent to: write it as \
                 http://otel-collector.observability:4318 (or https://), without a user or password, ? or #; \
                 put a key into OTEL_EXPORTER_OTLP_HEADERS"
            )
        })?;
        for (suffix, usable) in [("PROTOCOL", "http/protobuf"), ("COMPRESSION", "none")] {
            if let Some((value, name)) = setting(suffix).filter(|(value, _)| value != usable) {
                let value = clean(&value, 32);
                return Err(format!("{name}={value} is not supported; set it to {usable}"));
            }
        }
        let timeout = setting("TIMEOUT").map_or(Ok(TIMEOUT), |(value, name)| {
            value.parse().map(Duration::from_millis).map_err(|_| {
                format!("{name} is not a number of milliseconds; write for example {name}=10000")
            })
        })?;
        let http = client(&url, timeout, setting("CERTIFICATE"))?;
        Ok(Some(Self { url, timeout, http }))
    }

    /// Starts a thread that exports spans in batches, which the current runtime sends. `process` describes this process;
    /// the environment overrides it.
    ///
    /// # Errors
    /// A sentence that describes the invalid configuration.
    pub fn provider(self, process: impl IntoIterator<Item = KeyValue>) -> Result<SdkTracerProvider, String> {
        let mut resource = Resource::builder_empty()
            .with_attributes(process)
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_detector(Box::new(EnvResourceDetector::new()));
        if let Some(name) = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.trim().is_empty()) {
            resource = resource.with_service_name(name);
        }
        let sender = Sender { http: self.http, runtime: Handle::current(), lost: AtomicBool::new(false) };
        let exporter = SpanExporter::builder().with_http().with_http_client(sender);
        let exporter = exporter.with_endpoint(self.url).with_timeout(self.timeout).build();
        Ok(SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_sampler(Sampler::AlwaysOn)
            .with_id_generator(Ids::default())
            .with_batch_exporter(exporter.map_err(|error| format!("traces cannot be sent: {error}"))?)
            .build())
    }
}

/// Returns the URL for spans: `text`, or a path below it if `text` is the `base` of several signals.
fn endpoint(text: &str, base: bool) -> Option<Url> {
    let mut url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    if !url.username().is_empty() || url.password().is_some() || text.contains(['?', '#']) {
        return None;
    }
    if base {
        url.path_segments_mut().ok()?.pop_if_empty().extend(["v1", "traces"]);
    }
    Some(url)
}

/// Returns the client that sends each batch once, because the exporter itself retries within its timeout.
fn client(url: &Url, timeout: Duration, roots: Option<(String, String)>) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .dns_resolver(Resolver)
        .timeout(timeout);
    if is_direct(url) {
        builder = builder.no_proxy();
    }
    if let Some((path, name)) = roots {
        let pem = std::fs::read(path).map_err(|error| format!("{name} cannot be read: {error}"))?;
        let roots =
            Certificate::from_pem_bundle(&pem).map_err(|error| format!("{name} is not PEM: {error}"))?;
        builder = builder.tls_certs_merge(roots);
    }
    builder.build().map_err(|error| format!("traces cannot be sent by HTTPS: {}", describe(&error)))
}

/// Sends batches for the exporter's thread, which has no runtime.
#[derive(Debug)]
struct Sender {
    http: reqwest::Client,
    runtime: Handle,
    /// The last batch was lost, which is logged once.
    lost: AtomicBool,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        request.headers_mut().values_mut().for_each(|value| value.set_sensitive(true));
        let http = self.http.clone();
        let sent = self.runtime.spawn(async move { http.send_bytes(request).await }).await?;
        let why = match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it responds with {}", answer.status().as_u16())),
            Err(error) => Some(describe(error.as_ref())),
        };
        let lost = self.lost.swap(why.is_some(), Ordering::Relaxed);
        match why {
            Some(error) if !lost => tracing::warn!(
                error,
                "traces do not reach the collector; it should accept OTLP over HTTP, usually on port 4318"
            ),
            None if lost => tracing::info!("traces reach the collector again"),
            _ => {}
        }
        sent
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// The endpoint for this flag and these variables.
    fn url(flag: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let value = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Collector::configured(flag, value)?.map(|collector| collector.url.into()))
    }

    #[test]
    fn the_flag_goes_before_the_variables_for_the_endpoint_of_traces() {
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
    fn an_invalid_flag_is_named_without_its_value() {
        let why = url(Some("canary"), &[]).unwrap_err();
        assert!(why.starts_with("--otlp-endpoint is not a URL") && !why.contains("canary"), "{why}");
    }
}
