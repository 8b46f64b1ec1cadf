//! Cases that users of comparable operators have reported, with several namespaces, gateways, and proxies between the
//! operator and its servers.

mod breaker;
mod configuration;
mod confirmation;
mod gateway;
mod gateway_reads;
mod input;
mod lease;
mod lists;
mod metrics;
mod namespaces;
mod outcomes;
mod pace;
mod queue;
mod retry;
mod unstored;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use cde_sandbox::proxy::{Point, Proxy, Rule};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::Value;

use crate::faults::proxied::failure;
use crate::faults::request::Request;
use cde_harness::{Kind, LIMIT, Operator, POLL, TestEnv};

/// Returns an environment with another namespace, whose requests go to the same CDE.
async fn other_namespace(env: &TestEnv) -> TestEnv {
    let mut other = TestEnv::new().await;
    other.sandbox = env.sandbox.clone();
    other
}

/// Returns the value of `--namespaces` for these environments.
fn namespaces(envs: &[&TestEnv]) -> String {
    envs.iter().map(|env| env.namespace.as_str()).collect::<Vec<_>>().join(",")
}

/// A service account in an environment's namespace that has the operator's role only in the namespaces where it is
/// bound.
struct Account<'a>(&'a TestEnv);

impl<'a> Account<'a> {
    async fn new(home: &'a TestEnv) -> Self {
        home.kubectl(&["create", "serviceaccount", "operator"], "").await;
        Self(home)
    }

    async fn kubeconfig(&self, proxy: Option<&Proxy>) -> PathBuf {
        let account =
            self.0.control_plane.service_account(&self.0.namespace, "operator", proxy.map(Proxy::url));
        account.await.unwrap()
    }

    /// Binds the role in the namespace of `place`, and waits until it is in force.
    async fn bind(&self, place: &TestEnv) {
        let account = format!("--serviceaccount={}:operator", self.0.namespace);
        let bind = ["create", "rolebinding", "operator", "--clusterrole=cde-operator", &account];
        place.kubectl(&bind, "").await;
        self.may_list(place, true).await;
    }

    /// Removes the role again.
    async fn unbind(&self, place: &TestEnv) {
        place.kubectl(&["delete", "rolebinding", "operator"], "").await;
        self.may_list(place, false).await;
    }

    async fn may_list(&self, place: &TestEnv, expected: bool) {
        let who = format!("--as=system:serviceaccount:{}:operator", self.0.namespace);
        let ask = ["auth", "can-i", "list", "migrationrollbacks.cde.productsup.com", &who];
        let begun = Instant::now();
        while place.try_kubectl(&ask, "").await.is_ok() != expected {
            assert!(begun.elapsed() < LIMIT, "the permissions are not in force");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Whether a fault is on. Clones are handles of the same switch.
#[derive(Clone, Default)]
struct Switch(Arc<AtomicBool>);

impl Switch {
    fn on() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    fn turn_off(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    /// Returns `rule`, which now matches only while the switch is on.
    fn guard(&self, rule: Rule) -> Rule {
        let on = self.0.clone();
        rule.and("while it is on", move |_| on.load(Ordering::SeqCst)).always()
    }
}

/// Makes the API server answer the requests that match `rule` with this failure.
fn refuse(proxy: &Proxy, rule: Rule, code: u16) {
    let reason = if code == 403 { "Forbidden" } else { "InternalError" };
    proxy.answer(rule, Point::BeforeForward, code, &[], failure(code, reason));
}

/// Returns the Events about the request only, because an object of the other kind may have its name. Type, reason,
/// note.
async fn events(env: &TestEnv, request: &Request) -> Vec<(String, String, String)> {
    let api: Api<Event> = Api::namespaced(env.client.clone(), &env.namespace);
    let mut events = api.list(&ListParams::default()).await.unwrap().items;
    events.retain(|event| {
        let about = event.regarding.as_ref();
        about.is_some_and(|it| {
            it.name.as_ref() == Some(&request.name) && it.kind.as_deref() == Some(kind(request))
        })
    });
    events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
    let text = |text: Option<String>| text.unwrap_or_default();
    events.into_iter().map(|event| (text(event.type_), text(event.reason), text(event.note))).collect()
}

/// Returns its kind as in a manifest.
fn kind(request: &Request) -> &'static str {
    match request.kind {
        Kind::Restore => "ConnectorRestore",
        Kind::Rollback => "MigrationRollback",
    }
}

/// Returns the sum of the samples of a metric with these labels; `None` if there is no such sample.
async fn metric(operator: &mut Operator, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let (_, text) = operator.probe("/metrics").await?;
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
    let samples = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
        let (of, value) = rest.rsplit_once(' ')?;
        labels.iter().all(|label| of.contains(label)).then(|| value.parse::<f64>().ok()).flatten()
    });
    samples.fold(None, |sum, value| Some(sum.unwrap_or_default() + value))
}

/// Waits until the samples of a metric with these labels add up to `value`.
async fn until_metric(operator: &mut Operator, name: &str, labels: &[(&str, &str)], value: f64) {
    let begun = Instant::now();
    loop {
        let now = metric(operator, name, labels).await;
        if now == Some(value) {
            return;
        }
        let log = operator.log();
        assert!(begun.elapsed() < LIMIT, "{name}{labels:?} is {now:?}, not {value}\n{log}");
        tokio::time::sleep(POLL).await;
    }
}

/// Returns the warnings and errors in its log that have all these words.
fn warnings(operator: &Operator, words: &[&str]) -> Vec<String> {
    let log = operator.log();
    let is_meant = |line: &&str| {
        let level = serde_json::from_str::<Value>(line).ok().map(|line| line["level"].clone());
        level.is_some_and(|level| level == "WARN" || level == "ERROR")
            && words.iter().all(|word| line.contains(word))
    };
    log.lines().filter(is_meant).map(str::to_owned).collect()
}

/// Waits until there is such a warning.
async fn until_warned(operator: &Operator, words: &[&str]) {
    let begun = Instant::now();
    while warnings(operator, words).is_empty() {
        assert!(begun.elapsed() < LIMIT, "no warning has {words:?}\n{}", operator.log());
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until `/readyz` answers this code with a body that satisfies `condition`.
async fn until_readyz(operator: &mut Operator, code: u16, what: &str, condition: impl Fn(&str) -> bool) {
    let begun = Instant::now();
    loop {
        let answer = operator.probe("/readyz").await;
        if answer.as_ref().is_some_and(|(answered, body)| *answered == code && condition(body)) {
            return;
        }
        let log = operator.log();
        assert!(begun.elapsed() < LIMIT, "/readyz never says {what}, but {answer:?}\n{log}");
        tokio::time::sleep(POLL).await;
    }
}
