//! Environments with a proxy in front of the API server, in which the operator dies, watches freeze and calls are
//! held.

use cde_sandbox::cde::{Held as HeldCall, HoldPoint, Operation};
use cde_sandbox::proxy::{Held, Point, Proxy, Rule};
use serde_json::json;

use crate::faults::request::{Request, apply, both, end_as_without_fault, until};
use cde_harness::{Flags, Operator, TestEnv};

/// The numbers of the status writes of a request without trouble.
pub(crate) const CLAIM: usize = 0;
pub(crate) const OUTCOME: usize = 1;
/// The two kinds in paths.
pub(crate) const PLURALS: [&str; 2] = ["migrationrollbacks", "connectorrestores"];

/// An environment with a proxy in front of its API server, and a request of each kind that is not applied yet.
pub(crate) struct ProxiedRequests {
    pub(crate) env: TestEnv,
    pub(crate) proxy: Proxy,
    pub(crate) requests: [Request; 2],
}

impl ProxiedRequests {
    pub(crate) async fn new() -> Self {
        let env = TestEnv::new().await;
        let proxy = Proxy::start(&env.control_plane).await.unwrap();
        let requests = both(&env.sandbox, "struck");
        Self { env, proxy, requests }
    }

    /// Starts an operator in a pod of this name. Its claims last six seconds.
    pub(crate) async fn operator(&self, pod: &str) -> Operator {
        self.operator_with(pod, "1s").await
    }

    pub(crate) async fn operator_with(&self, pod: &str, timeout: &str) -> Operator {
        let flags =
            Flags::default().with("--timeout", timeout).with("--retry-max", "1s").env("POD_NAME", pod);
        self.env.start_behind(&self.proxy, flags).await
    }

    pub(crate) async fn apply(&self) {
        apply(&self.env, &self.requests).await;
    }

    /// Kills a first operator when it has sent this status write of both requests, and the write is at `point`.
    pub(crate) async fn dies_in_write(&self, write: usize, point: Point) -> [Held; 2] {
        let held = self
            .requests
            .each_ref()
            .map(|request| self.proxy.hold(request.status_writes().skip(write), point));
        let mut first = self.operator("first").await;
        self.apply().await;
        for held in &held {
            held.seen().await.unwrap();
        }
        first.kill();
        held
    }

    /// Kills a first operator when its changing calls for both requests are at `point`.
    pub(crate) async fn dies_in_call(&self, point: HoldPoint, timeout: &str) -> [HeldCall; 2] {
        let mut held = self.hold_calls(point);
        let mut first = self.operator_with("first", timeout).await;
        self.apply().await;
        for held in &mut held {
            held.arrived().await.unwrap();
        }
        first.kill();
        held
    }

    pub(crate) fn hold_calls(&self, point: HoldPoint) -> [HeldCall; 2] {
        self.requests.each_ref().map(|request| self.env.sandbox.hold(Operation::Changing, request.id, point))
    }

    /// Checks that the requests ended as without a fault, with this many calls each, by a response.
    pub(crate) async fn ends_after(&self, calls: usize) {
        end_as_without_fault(&self.env, &self.requests, calls, false).await;
    }

    /// Checks the same where the response was lost and a read showed the effect.
    pub(crate) async fn is_observed_after(&self, calls: usize) {
        end_as_without_fault(&self.env, &self.requests, calls, true).await;
    }

    pub(crate) fn conflicts(&self) -> usize {
        self.proxy.ledger().iter().filter(|exchange| exchange.status == Some(409)).count()
    }
}

/// Returns an environment whose operator reaches the API server through a proxy.
pub(crate) async fn behind_proxy() -> (TestEnv, Proxy, Operator) {
    behind_proxy_with(Flags::default()).await
}

/// As [`behind_proxy`], where a call that is held for a while does not time out.
pub(crate) async fn behind_proxy_with_time() -> (TestEnv, Proxy, Operator) {
    behind_proxy_with(Flags::default().with("--timeout", "20s")).await
}

pub(crate) async fn behind_proxy_with(flags: Flags) -> (TestEnv, Proxy, Operator) {
    let env = TestEnv::new().await;
    let proxy = Proxy::start(&env.control_plane).await.unwrap();
    let operator = env.start_behind(&proxy, flags).await;
    watches_run(&proxy).await;
    (env, proxy, operator)
}

/// Returns a failure as the API server writes it.
pub(crate) fn failure(code: u16, reason: &str) -> String {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason})
        .to_string()
}

/// Waits until the newest watch of each kind has a response, so that a cut reaches it.
async fn watches_run(proxy: &Proxy) {
    for plural in PLURALS {
        let rule = Rule::watch(plural);
        let runs = || {
            proxy.ledger().iter().rfind(|it| rule.matches(&it.call)).is_some_and(|it| it.status == Some(200))
        };
        until("a watch", runs).await;
    }
}

/// Makes the watches silent from now on, so that the cache gets old. The next watch of each kind is held.
pub(crate) async fn freeze_watches(proxy: &Proxy) -> [Held; 2] {
    watches_run(proxy).await;
    let held = PLURALS.map(|plural| proxy.hold(Rule::watch(plural), Point::BeforeForward));
    proxy.cut_watches();
    for held in &held {
        held.seen().await.unwrap();
    }
    held
}

/// Applies `requests`, and returns when the changing call of each is at `point`.
pub(crate) async fn hold_calls(env: &TestEnv, requests: &[Request], point: HoldPoint) -> Vec<HeldCall> {
    let mut all = Vec::new();
    for request in requests {
        all.push(env.sandbox.hold(Operation::Changing, request.id, point));
    }
    apply(env, requests).await;
    for held in &mut all {
        held.arrived().await.unwrap();
    }
    all
}

/// Returns how often its status was written so far.
pub(crate) fn written(proxy: &Proxy, request: &Request) -> usize {
    proxy.count(&request.status_writes())
}

/// A wait that is longer than any test.
const LONGER_THAN_A_TEST: &str = "30m";

/// Returns flags with which nothing is retried by itself.
pub(crate) fn without_retries() -> Flags {
    Flags::default().with("--retry-min", LONGER_THAN_A_TEST).with("--retry-max", LONGER_THAN_A_TEST)
}
