//! A certificate authority that lives as long as its sandbox.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::Error;

/// What a server needs to serve TLS, and what a client needs to trust it.
pub(super) struct Tls {
    pub(super) acceptor: TlsAcceptor,
    /// The authority's certificate.
    pub(super) ca_pem: String,
    /// The server's certificate.
    pub(super) certificate_pem: String,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It was valid until yesterday.
    Expired,
    /// It is not valid before tomorrow.
    NotYetValid,
    /// It is for another host.
    OtherHost,
    /// It names the host only as its subject and has no alternative names.
    NoAlternativeName,
    /// No authority signed it.
    SelfSigned,
    /// It is that of an authority, signed by itself, as `openssl req -x509` creates it by default.
    Authority,
}

/// Creates an authority and a certificate that it signed for these names and addresses, with this flaw.
pub(super) fn certify(names: Vec<String>, flaw: Option<Flaw>) -> Result<Tls, Error> {
    let failed = |error: rcgen::Error| Error::Tls(error.to_string());
    let mut authority = CertificateParams::new(Vec::new()).map_err(failed)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate().map_err(failed)?;
    let root = authority.self_signed(&authority_key).map_err(failed)?;
    let issuer = Issuer::new(authority, authority_key);

    let key = KeyPair::generate().map_err(failed)?;
    let params = flawed(names, flaw).map_err(failed)?;
    let certificate = match flaw {
        Some(Flaw::SelfSigned | Flaw::Authority) => params.self_signed(&key),
        _ => params.signed_by(&key, &issuer),
    }
    .map_err(failed)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // The provider is named here, so that no other part of the process has to install one.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| {
            config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)
        })
        .map_err(|error| Error::Tls(error.to_string()))?;
    let (acceptor, certificate_pem) = (TlsAcceptor::from(Arc::new(config)), certificate.pem());
    Ok(Tls { acceptor, ca_pem: root.pem(), certificate_pem })
}

fn flawed(names: Vec<String>, flaw: Option<Flaw>) -> Result<CertificateParams, rcgen::Error> {
    let host = names.first().cloned().unwrap_or_default();
    let mut params = CertificateParams::new(match flaw {
        Some(Flaw::OtherHost) => vec!["other.example".to_owned()],
        Some(Flaw::NoAlternativeName) => Vec::new(),
        _ => names,
    })?;
    params.distinguished_name.push(DnType::CommonName, host);
    let now = SystemTime::now();
    let (days, long) = (|days: u64| Duration::from_hours(24 * days), 365);
    match flaw {
        Some(Flaw::Expired) => {
            (params.not_before, params.not_after) = ((now - days(long)).into(), (now - days(1)).into());
        }
        Some(Flaw::NotYetValid) => {
            (params.not_before, params.not_after) = ((now + days(1)).into(), (now + days(long)).into());
        }
        Some(Flaw::Authority) => params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        _ => {}
    }
    Ok(params)
}
