//! The handle of a running sandbox.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use url::Url;
use uuid::Uuid;

use super::connector::Connector;
use super::fault::Fault;
use super::hold::{self, Held, HoldPoint};
use super::ledger::{Book, Call, Ledger, Observer};
use super::operation::Operation;
use super::port::Port;
use super::server::Shared;
use super::tls::{self, Flaw};
use super::{Error, lock, rules};
use crate::oauth_client::OAuthClient;

/// A running CDE API. Clones are handles of the same sandbox, which ends with the last one.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
    port: Arc<Port>,
}

/// The configuration of a sandbox, created by [`Sandbox::builder`].
pub struct Builder {
    listen: SocketAddr,
    tls: bool,
    names: Vec<String>,
    flaw: Option<Flaw>,
    token: String,
    introspection: Option<Url>,
    count_only: bool,
    observer: Option<Observer>,
}

impl Builder {
    /// Listens on this address instead of a free port of 127.0.0.1.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Serves TLS, with a certificate of its own authority ([`Sandbox::ca_pem`]).
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Makes its certificate valid for this name too, under which a proxy may reach it.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Gives its certificate this flaw.
    #[must_use]
    pub fn flawed(mut self, flaw: Flaw) -> Self {
        self.flaw = Some(flaw);
        self
    }

    /// Accepts this token instead of a random one.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = token.into();
        self
    }

    /// Also accepts every token that an authorization server calls active at this introspection endpoint (RFC 7662). A
    /// user name and a password in the URL are sent as basic authentication. If the server does not answer, the token
    /// is rejected.
    #[must_use]
    pub fn introspection(mut self, url: Url) -> Self {
        self.introspection = Some(url);
        self
    }

    /// Keeps only numbers in the ledger, and not the calls, for benchmarks.
    #[must_use]
    pub fn count_only(mut self) -> Self {
        self.count_only = true;
        self
    }

    /// Calls `observer` with every call when its response is known. It must not block or use the sandbox's ledger.
    #[must_use]
    pub fn on_call(mut self, observer: impl Fn(&Call) + Send + Sync + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Starts the sandbox on the current tokio runtime.
    ///
    /// # Errors
    /// [`Error::Listen`] if the address is in use, [`Error::Tls`] if the certificate could not be created,
    /// [`Error::Introspection`] if no client can be set up.
    #[expect(
        clippy::unused_async,
        reason = "a caller must be inside a runtime, and starting may come to wait"
    )]
    pub async fn start(self) -> Result<Sandbox, Error> {
        let book = Book::new(self.count_only, self.observer);
        let introspection = match self.introspection {
            Some(url) => Some((OAuthClient::new().map_err(Error::Introspection)?, url)),
            None => None,
        };
        let shared = Arc::new(Shared { book, introspection, ..Shared::default() });
        lock(&shared.store).tokens = vec![self.token];
        let tls = if self.tls {
            let mut names = vec!["localhost".into(), reachable(self.listen.ip()).to_string()];
            names.extend(self.names);
            Some(tls::certify(names, self.flaw)?)
        } else {
            None
        };
        let port = Port::open(self.listen, tls, &shared)?;
        Ok(Sandbox { shared, port: Arc::new(port) })
    }
}

impl Sandbox {
    /// Starts a sandbox on a free port of 127.0.0.1, without TLS, with a random token.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub async fn start() -> Result<Self, Error> {
        Self::builder().start().await
    }

    /// Returns a builder with the defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: false,
            names: Vec::new(),
            flaw: None,
            token: format!("token-{}", Uuid::new_v4()),
            introspection: None,
            count_only: false,
            observer: None,
        }
    }

    /// The base URL, such as `http://127.0.0.1:41234`. It never changes.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.port.tls.is_some() { "https" } else { "http" };
        let address = SocketAddr::new(reachable(self.port.address.ip()), self.port.address.port());
        format!("{scheme}://{address}")
    }

    /// The certificate of the authority to trust; `None` without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.port.tls.as_ref().map(|tls| tls.ca_pem.as_str())
    }

    /// Returns the certificate that it serves, if it serves TLS.
    #[must_use]
    pub fn certificate_pem(&self) -> Option<&str> {
        self.port.tls.as_ref().map(|tls| tls.certificate_pem.as_str())
    }

    /// A token that is accepted; empty if none is.
    #[must_use]
    pub fn token(&self) -> String {
        lock(&self.shared.store).tokens.first().cloned().unwrap_or_default()
    }

    /// Accepts only this token from now on.
    pub fn set_token(&self, token: impl Into<String>) {
        self.accept_tokens([token]);
    }

    /// Accepts only these tokens from now on. An empty list rejects every call.
    pub fn accept_tokens<T: Into<String>>(&self, tokens: impl IntoIterator<Item = T>) {
        lock(&self.shared.store).tokens = tokens.into_iter().map(Into::into).collect();
    }

    /// Adds a connector, or replaces the one with the same ID.
    pub fn put(&self, connector: Connector) {
        lock(&self.shared.store).put(connector);
    }

    /// Returns a connector as it is now.
    #[must_use]
    pub fn get(&self, id: Uuid) -> Option<Connector> {
        lock(&self.shared.store).connectors.get(&id).cloned()
    }

    /// Removes a connector.
    pub fn remove(&self, id: Uuid) {
        lock(&self.shared.store).connectors.remove(&id);
    }

    /// Puts a connector into the bin, regardless of the rules and without a call in the ledger.
    pub fn move_to_bin(&self, id: Uuid) {
        let mut store = lock(&self.shared.store);
        if let Some(mut connector) = store.connectors.remove(&id) {
            connector.in_bin = true;
            store.put(connector);
        }
    }

    /// Ends what is under way: a moving rollback now shows its effect, and every `resynchronizing-to-prod` becomes the
    /// earlier state again.
    pub fn settle(&self, id: Uuid) {
        self.shared.settle(id);
    }

    /// Adds a fault. If several apply to a call, the oldest one is used.
    pub fn inject(&self, fault: Fault) {
        lock(&self.shared.faults).push(fault);
    }

    /// Returns the faults that are not used up.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        lock(&self.shared.faults).clone()
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }

    /// Holds the next call of this operation or group for this connector at this point.
    #[must_use]
    pub fn hold(&self, operation: Operation, id: Uuid, point: HoldPoint) -> Held {
        let (server_end, held) = hold::hold(operation, id, point);
        lock(&self.shared.holds).push(server_end);
        held
    }

    /// Returns the ledger with every call so far.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.shared.book.read(Ledger::clone)
    }

    /// Returns the calls of this operation or group for this connector, in order of arrival.
    #[must_use]
    pub fn calls(&self, operation: Operation, id: Uuid) -> Vec<Call> {
        self.shared.book.read(|ledger| ledger.of(operation, id).cloned().collect())
    }

    /// Returns how many calls changed this connector.
    #[must_use]
    pub fn effects(&self, id: Uuid) -> usize {
        self.shared.book.read(|ledger| ledger.effects(id))
    }

    /// Waits until the ledger satisfies a condition. The condition must not use the sandbox itself.
    ///
    /// # Errors
    /// [`Error::TimedOut`], with the ledger, after `patience`.
    pub async fn wait_for(
        &self,
        condition: impl FnMut(&Ledger) -> bool,
        patience: Duration,
    ) -> Result<(), Error> {
        self.shared.book.wait_for(condition, patience).await
    }

    /// Refuses connections and cuts the open ones. Calls that have arrived are still carried out. The port stays
    /// reserved.
    pub async fn down(&self) {
        self.port.down().await;
    }

    /// Listens again on the same port, after [`down`](Self::down).
    ///
    /// # Errors
    /// [`Error::Listen`] if the port is not available.
    #[expect(clippy::unused_async, reason = "a caller must be inside a runtime, and it mirrors `down`")]
    pub async fn up(&self) -> Result<(), Error> {
        self.port.up(&self.shared)
    }
}

impl Shared {
    /// See [`Sandbox::settle`]. Returns false if there is no such connector.
    pub(super) fn settle(&self, id: Uuid) -> bool {
        let mut store = lock(&self.store);
        let connector = store.connectors.get_mut(&id);
        connector.map(|connector| rules::settle(connector, jiff::Timestamp::now())).is_some()
    }
}

/// Returns the address at which a client on this machine reaches a server that listens on `listening`.
fn reachable(listening: IpAddr) -> IpAddr {
    match listening {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}
