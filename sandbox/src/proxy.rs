//! A plain-HTTP reverse proxy in front of kube-apiserver, or of a server without TLS, that holds, cuts, answers and
//! counts requests.
//!
//! The proxy forwards requests whole and with their headers, including `Authorization`. It streams responses, watches
//! included. It forwards a request even when its client has gone, so a test can kill a client and then let its last
//! write arrive. If forwarding fails, the proxy closes the client's connection. It does not support protocol upgrades.
//! kubectl cannot use it, because kubectl sends no token without TLS.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use cde_sandbox::{control_plane::ControlPlane, proxy::{Point, Proxy, Rule}};
//! let control_plane = ControlPlane::shared().await?;
//! let proxy = Proxy::start(control_plane).await?;
//! let kubeconfig = control_plane.service_account("ns", "operator", Some(proxy.url())).await?;
//! let held = proxy.hold(Rule::status_write("migrationrollbacks", "back"), Point::BeforeReply);
//! // … something that uses the kubeconfig …
//! held.seen().await?;
//! held.cut();
//! # Ok(())
//! # }
//! ```

mod fault;
mod ledger;
mod relay;
mod rewrite;
mod rule;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinHandle;

use self::fault::{Answer, Verdict};
pub use self::fault::{Held, Point};
pub use self::ledger::Exchange;
use self::relay::Relay;
pub use self::rule::{Call, Rule};
use crate::control_plane::ControlPlane;

/// A running proxy. It ends with all its connections when it is dropped. It runs in the runtime that started it.
#[derive(Debug)]
pub struct Proxy {
    relay: Arc<Relay>,
    url: String,
    listener: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy for `control_plane` on a free loopback port.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start(control_plane: &ControlPlane) -> Result<Self> {
        Self::run(Relay::new(control_plane.url(), Some(control_plane.ca_pem()))?).await
    }

    /// Starts a proxy for the server at `url`, such as `http://127.0.0.1:PORT`, on a free loopback port.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn in_front_of(url: &str) -> Result<Self> {
        Self::run(Relay::new(url, None)?).await
    }

    async fn run(relay: Relay) -> Result<Self> {
        let relay = Arc::new(relay);
        let (port, listener) = relay::listen(Arc::clone(&relay)).await?;
        Ok(Self { relay, url: format!("http://127.0.0.1:{port}"), listener: tokio::spawn(listener) })
    }

    /// Its URL, `http://127.0.0.1:PORT`, to use in place of the server's.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Holds the requests that match `rule` at `point`, until the returned value decides.
    #[must_use]
    pub fn hold(&self, rule: Rule, point: Point) -> Held {
        self.relay.faults.hold(rule, point)
    }

    /// Closes the connections of the requests that match `rule` at `point`, without a response.
    pub fn cut(&self, rule: Rule, point: Point) {
        self.relay.faults.add(rule, point, Verdict::Cut);
    }

    /// Answers the requests that match `rule` in place of the server, which at [`Point::BeforeReply`] has already
    /// carried them out. The content type is JSON unless `headers` sets another.
    pub fn answer(
        &self,
        rule: Rule,
        point: Point,
        status: u16,
        headers: &[(&str, &str)],
        body: impl Into<String>,
    ) {
        self.relay.faults.add(rule, point, Verdict::Answer(Answer::new(status, headers, body)));
    }

    /// Delays the requests that match `rule` at `point`.
    pub fn delay(&self, rule: Rule, point: Point, delay: Duration) {
        self.relay.faults.delay(rule, point, delay);
    }

    /// Changes the server's responses to the requests that match `rule`, document by document: each event of a
    /// watch, or otherwise the whole body. A document for which `rewrite` returns `None` is withheld.
    pub fn rewrite(&self, rule: Rule, rewrite: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
        self.relay.rewrites.add(rule, Arc::new(rewrite));
    }

    /// Stops all traffic in both directions from now on, as on a half-open connection. New connections are still
    /// accepted.
    pub fn pause(&self) {
        self.relay.gate.send_modify(|gate| gate.paused = true);
    }

    /// Ends [`Self::pause`]. Whatever has waited continues.
    pub fn resume(&self) {
        self.relay.gate.send_modify(|gate| gate.paused = false);
    }

    /// Cuts all current watches in the middle of their stream.
    pub fn cut_watches(&self) {
        self.relay.gate.send_modify(|gate| gate.watch_cuts += 1);
    }

    /// Makes all current watches silent without closing them, as when a connection is lost unnoticed. Later watches
    /// work as usual.
    pub fn stall_watches(&self) {
        self.relay.gate.send_modify(|gate| gate.watch_stalls += 1);
    }

    /// All requests so far, in the order of arrival.
    #[must_use]
    pub fn ledger(&self) -> Vec<Exchange> {
        self.relay.ledger.all()
    }

    /// Returns how many requests so far meet the conditions of `rule`. Its `skip` and `times` do not count.
    #[must_use]
    pub fn count(&self, rule: &Rule) -> usize {
        self.relay.ledger.count(|call| rule.matches(call))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.relay.stop();
    }
}
