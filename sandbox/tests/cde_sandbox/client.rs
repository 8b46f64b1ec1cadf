//! A raw HTTP/1.1 client that hides no cut, no delay and no invalid byte.

use std::sync::Arc;
use std::time::Duration;

use cde_sandbox::cde::Sandbox;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use uuid::Uuid;

/// What the client received until the connection ended.
#[derive(Debug)]
pub(crate) struct Got {
    /// 0 if the connection ended before a status line.
    pub(crate) status: u16,
    /// Status line and headers.
    pub(crate) head: String,
    /// The body as sent, chunk headers included.
    pub(crate) body: Vec<u8>,
    /// Whether everything that was announced arrived.
    pub(crate) complete: bool,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn rollback_path(id: Uuid, version: &str) -> String {
    format!("/connectors/{id}/versions/{version}/migration/rollback")
}

pub(crate) async fn rollback(sandbox: &Sandbox, id: Uuid) -> Got {
    send(sandbox, "POST", &rollback_path(id, "main")).await
}

pub(crate) async fn restore(sandbox: &Sandbox, id: Uuid) -> Got {
    send(sandbox, "PATCH", &format!("/connectors/{id}/restore-from-bin")).await
}

pub(crate) async fn read(sandbox: &Sandbox, id: Uuid) -> Got {
    send(sandbox, "GET", &format!("/connectors/{id}")).await
}

pub(crate) async fn send(sandbox: &Sandbox, method: &str, path: &str) -> Got {
    let token = format!("authorization: Bearer {}\r\n", sandbox.token());
    send_with(sandbox, method, path, &token, "").await
}

/// Sends one call on a new connection. `headers` are whole lines.
pub(crate) async fn send_with(sandbox: &Sandbox, method: &str, path: &str, headers: &str, body: &str) -> Got {
    let url = sandbox.url();
    let (scheme, address) = url.split_once("://").unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    let stream = TcpStream::connect(address).await.unwrap();
    let talk = async {
        if scheme == "https" {
            exchange(encrypted(stream, sandbox).await, &request).await
        } else {
            exchange(stream, &request).await
        }
    };
    tokio::time::timeout(Duration::from_secs(30), talk).await.unwrap()
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Got {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // A cut may appear as an end or as a reset.
    let ended = stream.read_to_end(&mut bytes).await.is_ok();
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Got { status: 0, head: String::new(), body: bytes, complete: false };
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
    let body = bytes[end + 4..].to_vec();
    let announced = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let complete = match announced {
        Some(length) => body.len() == length.parse::<usize>().unwrap(),
        None => body.ends_with(b"0\r\n\r\n"),
    };
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Got { status, head, body, complete: complete && ended }
}

async fn encrypted(stream: TcpStream, sandbox: &Sandbox) -> impl AsyncRead + AsyncWrite + Unpin {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(sandbox.ca_pem().unwrap().as_bytes()).unwrap()).unwrap();
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}
