//! The handle on a running sandbox.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

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

/// A running CDE API. Clones are handles on the same one; it ends with the last.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
    port: Arc<Port>,
}

/// How a sandbox is to be; made by [`Sandbox::builder`].
pub struct Builder {
    listen: SocketAddr,
    tls: bool,
    names: Vec<String>,
    flaw: Option<Flaw>,
    token: String,
    count_only: bool,
    observer: Option<Observer>,
}

impl Builder {
    /// Listens there instead of on a free port of 127.0.0.1.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Speaks TLS, with a certificate of its own authority ([`Sandbox::ca_pem`]).
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Its certificate is for this name as well, by which a proxy may reach it.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Its certificate has this flaw.
    #[must_use]
    pub fn flawed(mut self, flaw: Flaw) -> Self {
        self.flaw = Some(flaw);
        self
    }

    /// Accepts this token instead of one drawn at random.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = token.into();
        self
    }

    /// The ledger keeps numbers but no calls: for benchmarks.
    #[must_use]
    pub fn count_only(mut self) -> Self {
        self.count_only = true;
        self
    }

    /// Tells `observer` of every call when its answer is known. It must not block, nor use the sandbox's ledger.
    #[must_use]
    pub fn on_call(mut self, observer: impl Fn(&Call) + Send + Sync + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Starts it on the current tokio runtime.
    ///
    /// # Errors
    /// [`Error::Listen`] where the address is taken, [`Error::Tls`] where no certificate could be made.
    #[expect(
        clippy::unused_async,
        reason = "a caller must be inside a runtime, and starting may come to wait"
    )]
    pub async fn start(self) -> Result<Sandbox, Error> {
        let book = Book::new(self.count_only, self.observer);
        let shared = Arc::new(Shared { book, ..Shared::default() });
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
    /// Starts one on a free port of 127.0.0.1, without TLS, with a token drawn at random.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub async fn start() -> Result<Self, Error> {
        Self::builder().start().await
    }

    /// Chooses how it is to be.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: false,
            names: Vec::new(),
            flaw: None,
            token: format!("token-{}", Uuid::new_v4()),
            count_only: false,
            observer: None,
        }
    }

    /// The base address, such as `http://127.0.0.1:41234`; it stays the same for life.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.port.tls.is_some() { "https" } else { "http" };
        let address = SocketAddr::new(reachable(self.port.address.ip()), self.port.address.port());
        format!("{scheme}://{address}")
    }

    /// The certificate of the authority to trust; none without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.port.tls.as_ref().map(|tls| tls.ca_pem.as_str())
    }

    /// A token that is accepted; empty if none is.
    #[must_use]
    pub fn token(&self) -> String {
        lock(&self.shared.store).tokens.first().cloned().unwrap_or_default()
    }

    /// From now on this token alone is accepted.
    pub fn set_token(&self, token: impl Into<String>) {
        self.accept_tokens([token]);
    }

    /// From now on these tokens are accepted; none at all refuses every call.
    pub fn accept_tokens<T: Into<String>>(&self, tokens: impl IntoIterator<Item = T>) {
        lock(&self.shared.store).tokens = tokens.into_iter().map(Into::into).collect();
    }

    /// Adds a connector, or replaces the one with its id.
    pub fn put(&self, connector: Connector) {
        lock(&self.shared.store).put(connector);
    }

    /// A connector as it is now.
    #[must_use]
    pub fn get(&self, id: Uuid) -> Option<Connector> {
        lock(&self.shared.store).connectors.get(&id).cloned()
    }

    /// Forgets a connector.
    pub fn remove(&self, id: Uuid) {
        lock(&self.shared.store).connectors.remove(&id);
    }

    /// Puts a connector into the bin, whatever speaks against it; not in the ledger.
    pub fn move_to_bin(&self, id: Uuid) {
        let mut store = lock(&self.shared.store);
        if let Some(mut connector) = store.connectors.remove(&id) {
            connector.in_bin = true;
            store.put(connector);
        }
    }

    /// Ends what is under way: a moving rollback now shows its effect, and every
    /// `resynchronizing-to-prod` becomes the state before it.
    pub fn settle(&self, id: Uuid) {
        self.shared.settle(id);
    }

    /// Adds a fault; of several that meet a call the oldest strikes.
    pub fn inject(&self, fault: Fault) {
        lock(&self.shared.faults).push(fault);
    }

    /// The faults that are not used up.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        lock(&self.shared.faults).clone()
    }

    /// Takes all faults away.
    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }

    /// Holds the next call of this operation or group for this connector at that point.
    #[must_use]
    pub fn hold(&self, operation: Operation, id: Uuid, point: HoldPoint) -> Held {
        let (server_end, held) = hold::hold(operation, id, point);
        lock(&self.shared.holds).push(server_end);
        held
    }

    /// Every call so far.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.shared.book.read(Ledger::clone)
    }

    /// The calls of this operation or group for this connector, in the order of arrival.
    #[must_use]
    pub fn calls(&self, operation: Operation, id: Uuid) -> Vec<Call> {
        self.shared.book.read(|ledger| ledger.of(operation, id).cloned().collect())
    }

    /// How many calls changed this connector.
    #[must_use]
    pub fn effects(&self, id: Uuid) -> usize {
        self.shared.book.read(|ledger| ledger.effects(id))
    }

    /// Waits until the ledger satisfies a condition, which must not use the sandbox itself.
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

    /// Refuses connections and cuts the live ones; calls that have arrived are still carried out. The port stays
    /// its own.
    pub async fn down(&self) {
        self.port.down().await;
    }

    /// Listens again on the same port, after [`down`](Self::down).
    ///
    /// # Errors
    /// [`Error::Listen`] if the port cannot be had.
    #[expect(clippy::unused_async, reason = "a caller must be inside a runtime, and it mirrors `down`")]
    pub async fn up(&self) -> Result<(), Error> {
        self.port.up(&self.shared)
    }
}

impl Shared {
    /// See [`Sandbox::settle`]; false if there is no such connector.
    pub(super) fn settle(&self, id: Uuid) -> bool {
        let mut store = lock(&self.store);
        let connector = store.connectors.get_mut(&id);
        connector.map(|connector| rules::settle(connector, jiff::Timestamp::now())).is_some()
    }
}

/// Where a client on this machine finds a server that listens there.
fn reachable(listening: IpAddr) -> IpAddr {
    match listening {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}
