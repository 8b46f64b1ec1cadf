//! The keys and certificates of one control plane, created for it and removed with it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// The files that kube-apiserver reads.
#[derive(Debug)]
pub(super) struct Pki {
    /// The certificate of the authority, as PEM.
    pub(super) ca_pem: String,
    pub(super) ca_file: PathBuf,
    pub(super) serving_cert: PathBuf,
    pub(super) serving_key: PathBuf,
    /// Signs the tokens of service accounts.
    pub(super) service_account_key: PathBuf,
    /// Verifies these tokens.
    pub(super) service_account_public_key: PathBuf,
}

/// Creates all files in `dir`: an authority, a certificate for loopback that it signed, and a key for service
/// accounts.
pub(super) fn make(dir: &Path) -> Result<Pki> {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "cde-sandbox control plane");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_key = KeyPair::generate()?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();

    let mut serving = CertificateParams::new(
        ["127.0.0.1", "::1", "localhost", "kubernetes.default.svc"].map(String::from),
    )?;
    serving.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    serving.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    serving.use_authority_key_identifier_extension = true;
    let serving_key = KeyPair::generate()?;
    let serving_pem = serving.signed_by(&serving_key, &Issuer::from_params(&ca, &ca_key))?.pem();

    let service_account_key = KeyPair::generate()?;
    let write = |name: &str, content: &str| -> Result<PathBuf> {
        let path = dir.join(name);
        fs::write(&path, content)?;
        Ok(path)
    };
    Ok(Pki {
        ca_file: write("ca.crt", &ca_pem)?,
        serving_cert: write("apiserver.crt", &serving_pem)?,
        serving_key: write("apiserver.key", &serving_key.serialize_pem())?,
        service_account_key: write("service-accounts.key", &service_account_key.serialize_pem())?,
        service_account_public_key: write("service-accounts.pub", &service_account_key.public_key_pem())?,
        ca_pem,
    })
}
