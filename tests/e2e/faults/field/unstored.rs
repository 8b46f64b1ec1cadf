//! Writes whose reply is lost: a claim, and an end that was decided without a call.

use cde_sandbox::cde::{Fault, Operation};
use cde_sandbox::proxy::{Call as ApiCall, Point, Rule};
use http::Method;
use serde_json::json;

use super::{Switch, events, kind, metric, refuse};
use crate::faults::proxied::{behind_proxy, behind_proxy_with, failure};
use crate::faults::request::{Request, a_restore, a_rollback, apply, both, until};
use cde_harness::{Flags, Manifest, from_now};

/// Matches the operator's reads of the object at the proxy.
fn reads_of(request: &Request) -> Rule {
    Rule::verb(Method::GET).path_ends_with(&format!("/{}/{}", request.plural(), request.name))
}

/// Fault 49: the token may not read the connector, so nothing could show whether an attempt had an effect.
#[tokio::test]
async fn a_claim_with_a_lost_reply_is_not_an_unknown_attempt_if_nothing_was_called() {
    // Claims last six seconds.
    let (env, proxy, _operator) = behind_proxy_with(Flags::default().with("--timeout", "1s")).await;
    let unreadable = Switch::on();
    let mut all = Vec::new();
    for (name, code) in [("cut", None), ("timeout", Some(504)), ("failure", Some(500))] {
        for request in both(&env.sandbox, name) {
            let connector = env.sandbox.get(request.id).unwrap().reading_forbidden();
            env.sandbox.put(connector);
            let claim = request.status_writes();
            match code {
                None => proxy.cut(claim, Point::BeforeReply),
                Some(code) => proxy.answer(claim, Point::BeforeReply, code, &[], failure(code, "Timeout")),
            }
            refuse(&proxy, unreadable.guard(reads_of(&request)), 503);
            all.push(request);
        }
    }
    apply(&env, &all).await;
    // The operator learns of its own claim only from the watch, which ends. After a few failed reads it has given up.
    for request in &all {
        until("reads of the object", || proxy.count(&reads_of(request)) > 0).await;
    }
    env.settle_after(12).await;

    unreadable.turn_off();

    for request in &all {
        let end = request.succeeds(&env).await;
        assert_eq!(end.operation()["unknownAttempts"].as_u64().unwrap_or_default(), 0, "{end:#?}");
        assert_eq!(end.operation()["evidence"], "Response", "{end:#?}");
        assert_eq!(request.calls(&env.sandbox).len(), 1, "{}", env.sandbox.ledger());
        assert_eq!(env.sandbox.effects(request.id), 1, "{}", env.sandbox.ledger());
    }
}

fn is_end(call: &ApiCall) -> bool {
    !call.json()["status"]["outcome"].is_null()
}

/// Returns requests whose last decision ends them without a call: their manifests and reasons.
fn ends(
    sandbox: &cde_sandbox::cde::Sandbox,
    way: &str,
) -> Vec<(Request, Manifest, &'static str, &'static str)> {
    let rollback = |name: &str| a_rollback(sandbox, &format!("{name}-{way}"));
    let restore = |name: &str| a_restore(sandbox, &format!("{name}-{way}"));
    let plain = |request: &Request| request.manifest();
    let mut all = Vec::new();
    for request in [rollback("verified"), restore("verified")] {
        sandbox.inject(Fault::on(Operation::Changing).connector(request.id).answer(500).after_effect());
        all.push((request.clone(), plain(&request), request.success(), "Succeeded"));
    }
    for request in [rollback("deadline"), restore("deadline")] {
        let locked = Fault::on(Operation::Changing).connector(request.id).answer(423);
        sandbox.inject(locked.header("retry-after", "600"));
        let manifest = request.manifest().spec("deadlineSeconds", 2);
        all.push((request, manifest, "DeadlineExceeded", "Failed"));
    }
    for request in [rollback("expired"), restore("expired")] {
        let manifest = request.manifest().spec("notAfter", from_now(-5));
        all.push((request, manifest, "Expired", "Failed"));
    }
    for request in [rollback("stale"), restore("stale")] {
        let manifest = request.manifest().spec("notAfter", from_now(-3 * 24 * 60 * 60));
        all.push((request, manifest, "Skipped", "Skipped"));
    }
    let request = rollback("condition");
    let manifest = request.manifest().spec("preconditions", json!({"state": "built"}));
    all.push((request, manifest, "PreconditionFailed", "Failed"));
    all
}

/// Fault 52: the end is stored, and the reply is lost.
#[tokio::test]
async fn an_end_without_a_call_and_with_a_lost_reply_has_one_event_and_is_counted_once() {
    let (env, proxy, mut operator) = behind_proxy().await;
    let mut all = Vec::new();
    for way in ["cut", "timeout"] {
        for (request, manifest, reason, outcome) in ends(&env.sandbox, way) {
            let end = request.status_writes().and("an end", is_end);
            match way {
                "cut" => proxy.cut(end, Point::BeforeReply),
                _ => proxy.answer(end, Point::BeforeReply, 504, &[], failure(504, "Timeout")),
            }
            all.push((request, manifest, reason, outcome));
        }
    }
    env.apply_all(all.iter().map(|(_, manifest, ..)| manifest.clone())).await;
    for (request, _, reason, _) in &all {
        request.wait_for_reason(&env, reason).await;
    }
    env.settle().await;

    let told = async |request: &Request, reason: &str| {
        events(&env, request).await.iter().filter(|event| event.1 == reason).count()
    };
    for (request, _, reason, outcome) in &all {
        let log = operator.log();
        assert_eq!(told(request, reason).await, 1, "Events {reason} about {}\n{log}", request.name);
        // One for each way to lose the reply. The request that proves that nothing more comes counts too.
        let markers = if *reason == "Restored" { 1.0 } else { 0.0 };
        let labels = [("kind", kind(request)), ("outcome", outcome), ("reason", reason)];
        let counted = metric(&mut operator, "cde_operator_requests_finished_total", &labels).await;
        assert_eq!(counted, Some(2.0 + markers), "{labels:?}\n{}", operator.log());
    }
}
