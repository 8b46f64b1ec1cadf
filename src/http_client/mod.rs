//! What every HTTP client of this project needs: TLS, proxies, timeouts, bounded bodies and `Retry-After`.
//!
//! No client follows redirects or retries by itself.

mod cause;
pub mod proxy;
mod retry_after;

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Response, Url};

use crate::dns::Resolver;

pub use cause::root_cause;
pub use retry_after::retry_at;

/// Connecting takes at most this long, and at most half the timeout: if the whole call timed out first, it would be unknown
/// whether something was sent.
const MAX_CONNECT: Duration = Duration::from_secs(10);
/// A connection that has been idle longer is not reused. Common servers close idle connections after 5 s, and the effect of
/// a call that is sent meanwhile would be unknown.
const MAX_IDLE: Duration = Duration::from_secs(4);

/// An error in the configuration: one sentence that says how to fix it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// The configuration of an HTTP client.
#[derive(Clone, Debug)]
pub struct Options {
    /// The limit for one whole call: connecting, request, response and its body.
    pub timeout: Duration,
    /// A PEM file with CA certificates to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// The `User-Agent` of every call, for example `cde-operator/1.2.3`.
    pub user_agent: String,
}

/// Creates a client for calls to `url` without contacting anything. The process must have installed a default
/// `rustls::crypto::CryptoProvider`.
///
/// Proxies are taken from the usual environment variables, but not for a server that [is reached
/// directly](proxy::is_direct). Unencrypted calls may go to loopback hosts only, so they never go through a proxy.
///
/// # Errors
/// Fails if the CA file is unusable, the system has no CA certificates, or the user agent is not a valid header value.
pub fn build(url: &Url, options: &Options) -> Result<reqwest::Client, ConfigError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(ConfigError("this process has not installed a TLS provider".into()));
    }
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .dns_resolver(Resolver)
        .tcp_nodelay(true)
        .pool_idle_timeout(MAX_IDLE)
        .timeout(options.timeout)
        .connect_timeout(MAX_CONNECT.min(options.timeout / 2))
        .https_only(url.scheme() == "https")
        .user_agent(&options.user_agent);
    if proxy::is_direct(url) {
        builder = builder.no_proxy();
    }
    if let Some(path) = &options.ca_file {
        builder = builder.tls_certs_merge(roots(path)?);
    }
    builder.build().map_err(|error| {
        let (with, advice) = match &options.ca_file {
            Some(path) => (format!(" with --ca-file {}", path.display()), "fix that file"),
            None => (String::new(), "install the system's CA certificates or set --ca-file"),
        };
        ConfigError(format!("cannot set up HTTPS{with} ({}); {advice}", root_cause(&error)))
    })
}

/// Reads the certificates of a PEM file.
fn roots(path: &Path) -> Result<Vec<Certificate>, ConfigError> {
    let refuse = |why: String| ConfigError(format!("--ca-file {} {why}", path.display()));
    let pem = std::fs::read(path).map_err(|why| refuse(format!("cannot be read ({why})")))?;
    let roots = Certificate::from_pem_bundle(&pem)
        .map_err(|error| refuse(format!("contains an invalid certificate ({})", root_cause(&error))))?;
    if roots.is_empty() {
        let has_key = String::from_utf8_lossy(&pem).contains("PRIVATE KEY-----");
        let found =
            if has_key { "contains a private key and no certificate" } else { "contains no certificate" };
        return Err(refuse(format!("{found}; write the CA certificate to it in PEM format")));
    }
    Ok(roots)
}

/// Returns whether the host of `url` is this machine, to which unencrypted calls are allowed.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        host == "localhost"
            || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    })
}

/// Reads the whole body.
///
/// # Errors
/// If it is cut or larger than `limit` bytes.
pub async fn read_body(response: &mut Response, limit: usize) -> Result<Vec<u8>, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(body: &'static str, limit: usize) -> Result<Vec<u8>, String> {
        read_body(&mut http::Response::new(body).into(), limit).await
    }

    #[tokio::test]
    async fn a_body_of_the_maximum_size_is_read_and_a_larger_one_is_rejected() {
        assert_eq!(read("", 0).await, Ok(vec![]));
        assert_eq!(read("1234", 4).await, Ok(b"1234".to_vec()));
        assert_eq!(read("12345", 4).await, Err("its body is larger than 4 bytes".into()));
    }
}
