//! The operator misses changes that were reverted and whole objects, or reads from a lagging source.

use std::fmt::Write as _;

use cde_sandbox::cde::{Connector, Fault, HoldPoint, Operation};
use cde_sandbox::proxy::{Point, Rule};
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::faults::proxied::{
    CLAIM, OUTCOME, PLURALS, behind_proxy, behind_proxy_with_time, freeze_watches, hold_calls, written,
};
use crate::faults::request::{
    Request, all_succeed_once, apply, both, end_as_without_fault, lists, until, watch_expired,
};
use cde_harness::{Kind, TestEnv};

/// Suspends all requests and requests a retry, then reverts both.
async fn change_and_revert(env: &TestEnv, requests: &[Request]) {
    let retry = |value| json!({"metadata": {"annotations": {"cde.productsup.com/retry": value}}});
    let changes = [
        json!({"spec": {"suspend": true}}),
        json!({"spec": {"suspend": false}}),
        retry(json!(Timestamp::now())),
        retry(Value::Null),
    ];
    // Uses a client, because kubectl may take so long on a busy machine that a wait of these requests ends meanwhile.
    for request in requests {
        for change in &changes {
            let objects = env.objects(request.kind);
            objects.patch(&request.name, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
        }
    }
}

/// Fault 14: while a claim is sent, is stored, in the call, while the outcome is sent, in a wait, and after a failure.
#[tokio::test]
async fn an_unseen_change_that_was_reverted_loses_nothing_and_repeats_nothing() {
    let (env, proxy, _operator) = behind_proxy_with_time().await;
    let (mut writes, mut written) = (Vec::new(), Vec::new());
    for (name, write, point) in [
        ("claim-sent", CLAIM, Point::BeforeForward),
        ("claim-stored", CLAIM, Point::BeforeReply),
        ("outcome-sent", OUTCOME, Point::BeforeForward),
    ] {
        for request in both(&env.sandbox, name) {
            writes.push(proxy.hold(request.status_writes().skip(write), point));
            written.push(request);
        }
    }
    let (in_call, refused) = (both(&env.sandbox, "in-call"), both(&env.sandbox, "refused"));
    let (waiting, failed) = (both(&env.sandbox, "waiting"), both(&env.sandbox, "failed"));
    for (requests, code) in [(&refused, 400), (&failed, 400), (&waiting, 423)] {
        for request in requests {
            let fault = Fault::on(Operation::Changing).connector(request.id).answer(code);
            env.sandbox.inject(if code == 423 { fault.header("retry-after", "5") } else { fault });
        }
    }
    apply(&env, &[&written[..], &failed].concat()).await;
    let calls = hold_calls(&env, &[&in_call[..], &refused].concat(), HoldPoint::BeforeEffect).await;
    for held in &writes {
        held.seen().await.unwrap();
    }
    for request in &failed {
        request.wait_for_reason(&env, "OperationNotAllowed").await;
    }
    // Last, because they wait only for the time that the CDE API asks for.
    apply(&env, &waiting).await;
    for request in &waiting {
        request.wait_for_reason(&env, "Retrying").await;
    }

    let watches = freeze_watches(&proxy).await;
    let all = [&written[..], &waiting, &in_call, &refused, &failed].concat();
    change_and_revert(&env, &all).await;
    writes.into_iter().for_each(cde_sandbox::proxy::Held::release);
    calls.into_iter().for_each(cde_sandbox::cde::Held::release);
    all_succeed_once(&env, &[&written[..], &waiting, &in_call].concat()).await;
    // A list shows only the present state.
    for watch in watches {
        watch.answer(200, watch_expired());
    }

    for request in refused.iter().chain(&failed) {
        let seen = |object: &cde_harness::Object| object.status()["observedGeneration"] == 3;
        let end = env.wait_until(request.kind, &request.name, "observed", seen).await;
        assert_eq!((end.reason(), request.calls(&env.sandbox).len()), ("OperationNotAllowed", 1), "{end:#?}");
    }
    end_as_without_fault(&env, &[&written[..], &in_call].concat(), 1, false).await;
    end_as_without_fault(&env, &waiting, 2, false).await;
}

/// Makes the connector ready for another request.
fn renew(env: &TestEnv, request: &Request) {
    match request.kind {
        Kind::Rollback => env.sandbox.put(Connector::migrated(request.id)),
        Kind::Restore => env.sandbox.move_to_bin(request.id),
    }
}

/// Fault 15: reported late by the watch, and never by a list.
#[tokio::test]
async fn an_object_that_came_and_went_unseen_has_no_call_and_its_name_can_be_used_again() {
    let (env, proxy, _operator) = behind_proxy().await;
    let requests = both(&env.sandbox, "struck");
    apply(&env, &requests).await;
    all_succeed_once(&env, &requests).await;
    for (round, relisted) in [false, true].into_iter().enumerate() {
        let watches = freeze_watches(&proxy).await;
        for request in &requests {
            env.delete(request.kind, &request.name).await;
            renew(&env, request);
        }
        apply(&env, &requests).await;
        for request in &requests {
            env.delete(request.kind, &request.name).await;
        }
        apply(&env, &requests).await;
        for watch in watches {
            if relisted {
                watch.answer(200, watch_expired());
            } else {
                watch.release();
            }
        }
        for request in &requests {
            let end = request.succeeds(&env).await;
            let calls = request.calls(&env.sandbox);
            assert_eq!(
                calls.len(),
                round + 2,
                "a call for each object that stayed: {}",
                env.sandbox.ledger()
            );
            assert_eq!(env.sandbox.effects(request.id), round + 2);
            let mut keys: Vec<_> = calls.iter().filter_map(|call| call.idempotency_key.as_deref()).collect();
            assert_eq!(keys.last().copied(), end.operation()["id"].as_str(), "{end:#?}");
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), calls.len(), "each object is a request of its own: {keys:?}");
        }
    }
}

/// Returns the present lists of both kinds.
async fn lists_now(env: &TestEnv) -> [String; 2] {
    let path = format!("/apis/cde.productsup.com/v1alpha1/namespaces/{}", env.namespace);
    let [one, other] = PLURALS.map(|plural| format!("{path}/{plural}"));
    [env.kubectl(&["get", "--raw", &one], "").await, env.kubectl(&["get", "--raw", &other], "").await]
}

/// Returns a list as the first events of a watch.
fn streamed(list: &str) -> String {
    let list: Value = serde_json::from_str(list).unwrap();
    let meta = json!({
        "resourceVersion": list["metadata"]["resourceVersion"],
        "annotations": {"k8s.io/initial-events-end": "true"},
    });
    let bookmark = json!({"apiVersion": list["apiVersion"], "kind": "ConnectorRestore", "metadata": meta});
    let mut events = String::new();
    // The type comes first, as the API server writes it.
    for object in list["items"].as_array().unwrap() {
        writeln!(events, r#"{{"type":"ADDED","object":{object}}}"#).unwrap();
    }
    writeln!(events, r#"{{"type":"BOOKMARK","object":{bookmark}}}"#).unwrap();
    events
}

/// Fault 11: after a reconnect the list is as old as before the claim, and as old as during the call.
#[tokio::test]
async fn a_lagging_source_does_not_cause_a_second_call_for_a_finished_request() {
    let (env, proxy, _operator) = behind_proxy().await;
    let requests = both(&env.sandbox, "struck");
    let claims = requests.each_ref().map(|request| proxy.hold(request.status_writes(), Point::BeforeForward));
    let mut calls = requests
        .each_ref()
        .map(|request| env.sandbox.hold(Operation::Changing, request.id, HoldPoint::BeforeEffect));
    apply(&env, &requests).await;
    for claim in &claims {
        claim.seen().await.unwrap();
    }
    let new = lists_now(&env).await;
    claims.into_iter().for_each(cde_sandbox::proxy::Held::release);
    for call in &mut calls {
        call.arrived().await.unwrap();
    }
    let claimed = lists_now(&env).await;
    calls.into_iter().for_each(cde_sandbox::cde::Held::release);
    all_succeed_once(&env, &requests).await;

    for old in [new, claimed] {
        // An object that is still in the cache hides its old version.
        watches_catch_up(&env).await;
        let before = requests.each_ref().map(|request| written(&proxy, request));
        for (plural, old) in PLURALS.into_iter().zip(old) {
            proxy.answer(Rule::watch(plural), Point::BeforeForward, 200, &[], watch_expired());
            proxy.answer(lists(plural), Point::BeforeForward, 200, &[], streamed(&old));
        }
        let watches = freeze_watches(&proxy).await;
        for (request, before) in requests.iter().zip(before) {
            until("a write based on the old object", || written(&proxy, request) > before).await;
        }
        watches.into_iter().for_each(cde_sandbox::proxy::Held::release);
    }
    watches_catch_up(&env).await;

    end_as_without_fault(&env, &requests, 1, false).await;
}

/// Waits until the watches show objects that are created now, and so all that happened before.
async fn watches_catch_up(env: &TestEnv) {
    let later = both(&env.sandbox, "later");
    apply(env, &later).await;
    all_succeed_once(env, &later).await;
    for request in &later {
        env.delete(request.kind, &request.name).await;
    }
}
