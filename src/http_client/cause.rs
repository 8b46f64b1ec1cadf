//! The cause of a failed call, and what to do about it where TLS is the cause.

use std::error::Error;
use std::io;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

/// Returns the message of the innermost cause, because the outer ones only say that a call failed. For an error of TLS, it
/// also says what to do. It is the same whenever the call is repeated.
#[must_use]
pub fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    loop {
        if let Some(tls) = tls_error(cause) {
            return explain(tls);
        }
        match cause.source() {
            Some(source) => cause = source,
            None => return cause.to_string(),
        }
    }
}

/// Returns the error of TLS, which may be inside of I/O errors that do not report it as their source.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    error.downcast_ref().or_else(|| tls_error(error.downcast_ref::<io::Error>()?.get_ref()?))
}

fn explain(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => {
            let (what, advice) = about_certificate(why);
            format!("invalid peer certificate: {what}{advice}")
        }
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!(
                "{error}: the server does not speak TLS at this port; correct the port or the scheme of the URL"
            )
        }
        rustls::Error::AlertReceived(
            AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity
            | AlertDescription::ProtocolVersion,
        )
        | rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::NoCipherSuitesInCommon
            | PeerIncompatible::NoKxGroupsInCommon,
        ) => format!(
            "{error}: the server accepts no TLS version and cipher suite of this client; let it offer TLS 1.3, or TLS 1.2 \
             with ECDHE and AES-GCM or ChaCha20-Poly1305 (CBC suites alone are not enough)"
        ),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            format!("{error}: the server asks for a client certificate, which is not supported")
        }
        other => other.to_string(),
    }
}

/// Returns what is wrong with the server's certificate, and what to do, after a semicolon.
fn about_certificate(error: &CertificateError) -> (String, &'static str) {
    // The library's own texts count the seconds since then.
    match error {
        CertificateError::ExpiredContext { not_after, .. } => (
            format!("certificate expired at {}", time(*not_after)),
            "; renew it, or correct the clock of this machine",
        ),
        CertificateError::NotValidYetContext { not_before, .. } => (
            format!("certificate not valid yet, not before {}", time(*not_before)),
            "; correct the clock of the machine that issued it, or of this one",
        ),
        CertificateError::UnknownIssuer => (
            error.to_string(),
            "; pass the certificate of the authority that issued it with --ca-file, and let the server send the \
             certificates in between",
        ),
        CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => (
            "BadSignature".to_owned(),
            ": an authority of the same name but with another key issued it; pass that authority's present certificate with \
             --ca-file",
        ),
        CertificateError::NotValidForNameContext { .. } | CertificateError::NotValidForName => {
            (error.to_string(), "; use one of its names in the URL, or have it issued for this name")
        }
        CertificateError::Other(other) if format!("{:?}", other.0) == "CaUsedAsEndEntity" => (
            "CaUsedAsEndEntity".to_owned(),
            ": the server uses the certificate of an authority as its own, as most self-signed ones are; let that authority \
             issue one for the server (with CA:FALSE), and keep the authority's in --ca-file",
        ),
        other => (other.to_string(), ""),
    }
}

fn time(time: UnixTime) -> String {
    let time = i64::try_from(time.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.unwrap_or(Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_root_cause_is_the_innermost_error() {
        #[derive(Debug, thiserror::Error)]
        #[error("the call failed")]
        struct Outer(#[source] std::fmt::Error);
        assert_eq!(root_cause(&Outer(std::fmt::Error)), std::fmt::Error.to_string());
        assert_eq!(root_cause(&std::fmt::Error), std::fmt::Error.to_string());
    }

    #[test]
    fn the_cause_is_the_same_at_each_retry() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        for (error, expected) in [
            (CertificateError::ExpiredContext { time: at(9), not_after: at(5) }, "1970-01-01T00:00:05Z"),
            (CertificateError::NotValidYetContext { time: at(1), not_before: at(5) }, "1970-01-01T00:00:05Z"),
        ] {
            let cause = root_cause(&rustls::Error::InvalidCertificate(error));
            assert!(cause.contains(expected) && !cause.contains("seconds"), "{cause}");
        }
    }

    #[test]
    fn an_error_of_tls_inside_of_io_errors_is_explained() {
        let alert = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        let inner = io::Error::new(io::ErrorKind::InvalidData, alert);
        assert!(root_cause(&io::Error::other(inner)).contains("asks for a client certificate"));
    }
}
