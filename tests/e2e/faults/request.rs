//! Requests of both kinds side by side, and their results.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use cde_sandbox::cde::{Call, Connector, Ledger, Operation, Sandbox, new_id};
use cde_sandbox::process::output;
use cde_sandbox::proxy::{self, Rule};
use serde_json::{Value, json};
use uuid::Uuid;

use cde_harness::{Kind, LIMIT, Manifest, Object, POLL, TestEnv, from_now, restore, rollback};

/// A manifest and its connector.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) id: Uuid,
}

/// Returns a rollback of a connector that can be rolled back.
pub(crate) fn a_rollback(sandbox: &Sandbox, name: &str) -> Request {
    let id = new_id();
    sandbox.put(Connector::migrated(id));
    Request { kind: Kind::Rollback, name: name.to_owned(), id }
}

/// Returns a restore of a connector that is in the bin.
pub(crate) fn a_restore(sandbox: &Sandbox, name: &str) -> Request {
    let id = new_id();
    sandbox.put(Connector { in_bin: true, ..Connector::migrated(id) });
    Request { kind: Kind::Restore, name: name.to_owned(), id }
}

/// Returns one request of each kind.
pub(crate) fn both(sandbox: &Sandbox, name: &str) -> [Request; 2] {
    [a_rollback(sandbox, name), a_restore(sandbox, name)]
}

/// Returns `count` requests of alternating kinds.
pub(crate) fn many(sandbox: &Sandbox, count: usize) -> Vec<Request> {
    let request = |number: usize| match number % 2 {
        0 => a_rollback(sandbox, &format!("r{number}")),
        _ => a_restore(sandbox, &format!("r{number}")),
    };
    (0..count).map(request).collect()
}

impl Request {
    pub(crate) fn manifest(&self) -> Manifest {
        match self.kind {
            // Longer than any clock here is wrong by.
            Kind::Rollback => rollback(&self.name, self.id, "main").spec("notAfter", from_now(24 * 60 * 60)),
            Kind::Restore => restore(&self.name, self.id),
        }
    }

    /// Returns the plural of the kind, as in paths and in the audit log.
    pub(crate) fn plural(&self) -> &'static str {
        match self.kind {
            Kind::Rollback => "migrationrollbacks",
            Kind::Restore => "connectorrestores",
        }
    }

    /// Returns the reason of its success.
    pub(crate) fn success(&self) -> &'static str {
        match self.kind {
            Kind::Rollback => "RolledBack",
            Kind::Restore => "Restored",
        }
    }

    /// Returns the evidence of a success whose response was lost.
    pub(crate) fn observation(&self) -> &'static str {
        match self.kind {
            Kind::Rollback => "ObservedChange",
            Kind::Restore => "ObservedLive",
        }
    }

    /// Matches writes of its status at the proxy.
    pub(crate) fn status_writes(&self) -> Rule {
        Rule::status_write(self.plural(), &self.name)
    }

    /// Returns the changing calls so far.
    pub(crate) fn calls(&self, sandbox: &Sandbox) -> Vec<Call> {
        sandbox.calls(Operation::Changing, self.id)
    }

    /// Returns how often its connector was read.
    pub(crate) fn reads(&self, sandbox: &Sandbox) -> usize {
        sandbox.calls(Operation::Read, self.id).len()
    }

    /// Merges `change` into the spec.
    pub(crate) async fn patch_spec(&self, env: &TestEnv, change: &Value) {
        let patch = json!({ "spec": change }).to_string();
        env.kubectl(&["patch", self.plural(), &self.name, "--type=merge", "-p", &patch], "").await;
    }

    pub(crate) async fn get(&self, env: &TestEnv) -> Object {
        env.get(self.kind, &self.name).await
    }

    /// Waits for the reason of its condition Ready.
    pub(crate) async fn wait_for_reason(&self, env: &TestEnv, reason: &str) -> Object {
        env.wait_for_reason(self.kind, &self.name, reason).await
    }

    pub(crate) async fn succeeds(&self, env: &TestEnv) -> Object {
        self.wait_for_reason(env, self.success()).await
    }
}

/// Matches lists of a kind at the proxy.
pub(crate) fn lists(plural: &str) -> Rule {
    Rule::any().and("a list", proxy::Call::is_list).path_ends_with(&format!("/{plural}"))
}

/// Returns the only event of a watch that has expired: 410, which asks for a new list.
pub(crate) fn watch_expired() -> String {
    let status =
        json!({"kind": "Status", "apiVersion": "v1", "code": 410, "reason": "Expired", "message": "Expired"});
    json!({"type": "ERROR", "object": status}).to_string() + "\n"
}

/// Returns the output of a program that ends by itself.
pub(crate) async fn ended(command: Command) -> Output {
    let ended = tokio::time::timeout(LIMIT, output(command, b"")).await;
    ended.expect("it ends by itself").expect("it is run")
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "timed out waiting for: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// Applies the manifests of `requests`.
pub(crate) async fn apply(env: &TestEnv, requests: &[Request]) {
    env.apply_all(requests.iter().map(Request::manifest)).await;
}

/// Returns the status without times, counts and identity, so that two runs with the same result are equal.
pub(crate) fn plain(object: &Object) -> Value {
    let mut status = object.status().clone();
    if let Some(operation) = status["operation"].as_object_mut() {
        let kept = ["server"];
        operation.retain(|field, _| kept.contains(&field.as_str()));
    }
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        condition["lastTransitionTime"].take();
    }
    status
}

/// Checks that `requests` ended as they do without any fault, with one effect and this many changing calls each, and
/// that nothing is called afterwards.
pub(crate) async fn end_as_without_fault(env: &TestEnv, requests: &[Request], calls: usize, observed: bool) {
    let mut ends = Vec::new();
    for request in requests {
        let end = request.succeeds(env).await;
        let evidence = if observed { request.observation() } else { "Response" };
        assert_eq!(end.operation()["evidence"], evidence, "{end:#?}");
        ends.push(end);
    }
    let undisturbed = undisturbed(env, requests).await;
    for ((request, end), twin) in requests.iter().zip(ends).zip(undisturbed) {
        let ledger = env.sandbox.ledger();
        assert_eq!(request.calls(&env.sandbox).len(), calls, "calls for {}:\n{ledger}", request.plural());
        assert_eq!(env.sandbox.effects(request.id), 1, "effects for {}:\n{ledger}", request.plural());
        assert_eq!(plain(&end), plain(&twin));
        assert_eq!(request.get(env).await.status(), end.status(), "it changed after its end");
        check_costs(env, request, calls);
    }
}

/// Checks the costs, whatever the fault: two status writes per attempt plus four, and as many reads of the connector.
fn check_costs(env: &TestEnv, request: &Request, calls: usize) {
    let bound = 2 * calls + 4;
    let mut writes = env.operator_writes(&request.name);
    writes.retain(|write| write.resource == request.plural() && write.name == request.name);
    assert!(writes.len() <= bound, "{} writes for {calls} calls: {writes:#?}", writes.len());
    let reads = request.reads(&env.sandbox);
    assert!(reads <= bound, "{reads} reads for {calls} calls:\n{}", env.sandbox.ledger());
}

/// Returns the ends of the same requests for connectors of their own.
async fn undisturbed(env: &TestEnv, requests: &[Request]) -> Vec<Object> {
    let undisturbed: Vec<Request> = requests
        .iter()
        .map(|request| {
            let name = format!("{}-twin", request.name);
            match request.kind {
                Kind::Rollback => a_rollback(&env.sandbox, &name),
                Kind::Restore => a_restore(&env.sandbox, &name),
            }
        })
        .collect();
    apply(env, &undisturbed).await;
    let mut ends = Vec::new();
    for twin in &undisturbed {
        ends.push(twin.succeeds(env).await);
    }
    ends
}

/// Waits until all have succeeded, with one effect each.
pub(crate) async fn all_succeed_once(env: &TestEnv, requests: &[Request]) {
    for request in requests {
        request.succeeds(env).await;
        assert_eq!(env.sandbox.effects(request.id), 1, "{}", env.sandbox.ledger());
    }
}

/// Returns the calls that came after the one with the number `sequence`.
pub(crate) fn after(ledger: &Ledger, sequence: u64) -> Vec<Call> {
    ledger.calls().iter().filter(|call| call.sequence > sequence).cloned().collect()
}

/// Returns the times between consecutive calls.
pub(crate) fn gaps(calls: &[Call]) -> Vec<Duration> {
    calls.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at).unsigned_abs()).collect()
}
