//! A sandbox with one connector, a client for it, and servers that send only what a test tells them to.

use std::time::Duration;

use cde_operator::cde::model::{Answer, Call, CallId, Connector, Data, Failure, FailureKind, Version};
use cde_operator::cde::{BaseUrl, Client, ClientConfig, TokenFile};
use cde_sandbox::cde::{self as sandbox, Fault, Sandbox};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(crate) const OPERATION: &str = "0d9f6a2e-8a37-4a35-9c6c-2f6a6d1c3b11";
/// Long enough that it never ends a call that gets a response.
pub(crate) const LONG_TIMEOUT: Duration = Duration::from_secs(30);

/// One connector in a sandbox, and a client for it.
pub(crate) struct Api {
    pub(crate) sandbox: Sandbox,
    pub(crate) client: Client,
    pub(crate) tokens: TokenFile,
    pub(crate) token_file: NamedTempFile,
    pub(crate) id: Uuid,
}

impl Api {
    /// Returns a connector with a migration that can be rolled back.
    pub(crate) async fn migrated() -> Self {
        Self::of(Sandbox::start().await.unwrap(), sandbox::Connector::migrated)
    }

    /// Returns a connector in the bin, with two versions.
    pub(crate) async fn in_bin() -> Self {
        Self::of(Sandbox::start().await.unwrap(), |id| {
            let (old, new) = (sandbox::Version::new("1.0.0"), sandbox::Version::new("2.0.0"));
            sandbox::Connector::in_bin(id).version(old).version(new)
        })
    }

    pub(crate) fn of(sandbox: Sandbox, connector: impl FnOnce(Uuid) -> sandbox::Connector) -> Self {
        let id = sandbox::new_id();
        sandbox.put(connector(id));
        let token_file = file(sandbox.token());
        let tokens = TokenFile::open(token_file.path()).unwrap();
        let client = client(&sandbox.url(), LONG_TIMEOUT);
        Self { sandbox, client, tokens, token_file, id }
    }

    /// Sets a timeout.
    pub(crate) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.client = client(&self.sandbox.url(), timeout);
        self
    }

    /// Adds a fault for the next call.
    pub(crate) fn with(self, fault: Fault) -> Self {
        self.sandbox.inject(fault);
        self
    }

    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, Failure> {
        self.client.send(call, &call_id(), &self.tokens.current()).await
    }

    pub(crate) async fn roll_back(&self) -> Result<(Version, Vec<String>), Failure> {
        let answer = self.send(&self.rollback_to("main")).await?;
        let Data::Version(version) = answer.data else { panic!("not a version: {answer:?}") };
        Ok((*version, answer.missing_fields))
    }

    pub(crate) async fn restore(&self) -> Result<(Connector, Vec<String>), Failure> {
        let answer = self.send(&Call::RestoreFromBin { connector: self.id.to_string() }).await?;
        let Data::Connector(connector) = answer.data else { panic!("not a connector: {answer:?}") };
        Ok((*connector, answer.missing_fields))
    }

    pub(crate) async fn read(&self) -> Result<Connector, Failure> {
        self.client
            .connector(&self.id.to_string(), &call_id(), &self.tokens.current())
            .await
            .map(|answer| answer.data)
    }

    pub(crate) fn rollback_to(&self, version: &str) -> Call {
        Call::RollBackMigration { connector: self.id.to_string(), version: version.into() }
    }

    /// Makes a rollback that fails, and checks that exactly one request was sent.
    pub(crate) async fn failed_rollback(&self) -> Failure {
        let before = self.sandbox.ledger().total();
        let failure = self.roll_back().await.unwrap_err();
        assert_eq!(self.sandbox.ledger().total(), before + 1, "one request for one call: {failure:?}");
        failure
    }
}

pub(crate) fn call_id() -> CallId {
    CallId { operation: OPERATION.into(), attempt: 3 }
}

pub(crate) fn config(base: &str, timeout: Duration) -> ClientConfig {
    // An error only means that another test has installed a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    ClientConfig {
        base: BaseUrl::parse(base, false).unwrap(),
        timeout,
        ca_file: None,
        user_agent: "cde-operator/1.2.3".into(),
    }
}

pub(crate) fn client(base: &str, timeout: Duration) -> Client {
    Client::new(&config(base, timeout)).unwrap()
}

pub(crate) fn file(content: impl AsRef<[u8]>) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

pub(crate) fn from_api(code: u16) -> FailureKind {
    FailureKind::Status { code, from_api: true }
}

pub(crate) fn not_from_api(code: u16) -> FailureKind {
    FailureKind::Status { code, from_api: false }
}

/// Makes a rollback with any token.
pub(crate) async fn roll_back_at(client: &Client) -> Result<Answer, Failure> {
    let token_file = file("canary-token");
    let token = TokenFile::open(token_file.path()).unwrap().current();
    let call = Call::RollBackMigration { connector: sandbox::new_id().to_string(), version: "main".into() };
    client.send(&call, &call_id(), &token).await
}

/// Starts a server that reads one request, sends these bytes and closes the connection. The handle resolves to the
/// request's text.
pub(crate) async fn answering(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        request
    });
    (base, server)
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(request).unwrap()
}
