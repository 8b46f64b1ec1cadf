//! The API server rejects writes, loses replies, hangs or goes away, or its watch serves old events.

use std::time::Instant;

use cde_sandbox::cde::{Fault, HoldPoint, Operation};
use cde_sandbox::proxy::{Call, Point, Proxy, Rule};
use serde_json::json;

use crate::faults::proxied::{
    CLAIM, OUTCOME, PLURALS, behind_proxy, behind_proxy_with_time, failure, freeze_watches, hold_calls,
    written,
};
use crate::faults::request::{
    a_restore, a_rollback, apply, both, end_as_without_fault, lists, until, watch_expired,
};
use cde_harness::{ControlPlane, Flags, Operator, TestEnv};

/// Fault 17.
#[tokio::test]
async fn a_claim_that_loses_to_another_writer_is_decided_again_and_one_call_is_made() {
    let (env, proxy, _operator) = behind_proxy().await;
    let requests = both(&env.sandbox, "struck");
    let claims = requests.each_ref().map(|request| proxy.hold(request.status_writes(), Point::BeforeForward));
    apply(&env, &requests).await;
    for (claim, request) in claims.into_iter().zip(&requests) {
        claim.seen().await.unwrap();
        env.kubectl(&["annotate", request.plural(), &request.name, "team=other"], "").await;
        claim.release();
    }

    end_as_without_fault(&env, &requests, 1, false).await;

    for request in &requests {
        assert_eq!(written(&proxy, request), 3, "a rejected claim, a claim, an outcome");
    }
}

/// Faults 18 and 19: a client that repeats such a write blindly gets a conflict with itself.
#[tokio::test]
async fn a_write_with_an_unclear_reply_is_read_back_and_never_acted_on_twice() {
    let (env, proxy, _operator) = behind_proxy().await;
    let mut requests = Vec::new();
    for (write, name) in [(CLAIM, "claim"), (OUTCOME, "outcome")] {
        for (point, fate) in [(Point::BeforeReply, "stored"), (Point::BeforeForward, "lost")] {
            for (code, reason) in [(504, "Timeout"), (429, "TooManyRequests")] {
                let name = format!("{name}-{fate}-{code}");
                let request = if code == 504 {
                    a_rollback(&env.sandbox, &name)
                } else {
                    a_restore(&env.sandbox, &name)
                };
                let rule = request.status_writes().skip(write);
                proxy.answer(rule, point, code, &[("Retry-After", "0")], failure(code, reason));
                requests.push(request);
            }
        }
    }
    apply(&env, &requests).await;

    end_as_without_fault(&env, &requests, 1, false).await;

    for request in &requests {
        let expected = if request.name.contains("stored") { 2 } else { 3 };
        assert_eq!(written(&proxy, request), expected, "status writes of {}", request.name);
    }
}

/// Fault 20: a claim and an outcome that are never answered, and that arrive when everything is over.
#[tokio::test]
async fn a_write_without_a_reply_is_abandoned_and_harmless_when_it_arrives_late() {
    let (env, proxy, _operator) = behind_proxy().await;
    let requests = [a_rollback(&env.sandbox, "claim"), a_restore(&env.sandbox, "outcome")];
    let stuck = [CLAIM, OUTCOME].map(|write| {
        let request = &requests[write];
        proxy.hold(request.status_writes().skip(write), Point::BeforeForward)
    });
    apply(&env, &requests).await;
    for stuck in &stuck {
        stuck.seen().await.unwrap();
    }
    let ends = [requests[0].succeeds(&env).await, requests[1].succeeds(&env).await];
    for one in stuck {
        one.release();
    }

    end_as_without_fault(&env, &requests, 1, false).await;

    for (request, end) in requests.iter().zip(&ends) {
        assert_eq!(request.get(&env).await.status(), end.status());
    }
    let late = proxy.ledger().iter().filter(|exchange| exchange.call.path.ends_with("/status")).count();
    assert!(late >= 6, "both were written again");
}

/// Fault 21.
#[tokio::test]
async fn an_outcome_is_kept_until_the_operator_is_allowed_to_write_it() {
    let (env, proxy, operator) = behind_proxy().await;
    let requests = both(&env.sandbox, "struck");
    for request in &requests {
        let rule = request.status_writes().skip(OUTCOME).times(3);
        proxy.answer(rule, Point::BeforeForward, 403, &[], failure(403, "Forbidden"));
    }
    apply(&env, &requests).await;

    end_as_without_fault(&env, &requests, 1, false).await;

    operator.wait_for_log("the outcome is not stored yet").await;
    for request in &requests {
        assert_eq!(written(&proxy, request), 5, "a claim, three rejected outcomes, an outcome");
    }
}

/// Fault 21: without permissions nothing can be claimed, and this must not cause a storm of requests.
#[tokio::test]
async fn forbidden_claims_are_retried_rarely_and_nothing_is_called() {
    let (env, proxy, _operator) = behind_proxy().await;
    let requests = both(&env.sandbox, "struck");
    for request in &requests {
        let rule = request.status_writes().always();
        proxy.answer(rule, Point::BeforeForward, 403, &[], failure(403, "Forbidden"));
    }
    apply(&env, &requests).await;

    env.settle().await;

    for request in &requests {
        let tried = written(&proxy, request);
        assert!((1..=8).contains(&tried), "{tried} tries in a few seconds");
        assert!(request.reads(&env.sandbox) <= tried, "more reads than attempts to write");
        assert!(request.calls(&env.sandbox).is_empty());
    }
}

/// Returns an environment with a control plane of its own, which the test may stop, and its operator.
async fn env_with_own_control_plane() -> (TestEnv, Operator) {
    let control_plane = ControlPlane::own().await;
    control_plane.apply_crds().await;
    let env = TestEnv::on(control_plane).await;
    let operator = env.start(Flags::default()).await;
    (env, operator)
}

/// Fault 22.
#[tokio::test]
async fn an_outage_of_the_api_server_costs_only_time() {
    let (env, operator) = env_with_own_control_plane().await;

    let requests = both(&env.sandbox, "in-flight");
    let calls = hold_calls(&env, &requests, HoldPoint::AfterEffect).await;
    env.control_plane.stop_api_server().unwrap();
    for one in calls {
        one.release();
    }
    operator.wait_for_log("the outcome is not stored yet").await;
    operator.wait_for_log("the watch was interrupted").await;
    env.control_plane.start_api_server().await.unwrap();
    end_as_without_fault(&env, &requests, 1, false).await;

    let requests = both(&env.sandbox, "behind-etcd");
    let calls = hold_calls(&env, &requests, HoldPoint::AfterEffect).await;
    env.control_plane.stop_etcd().unwrap();
    for one in calls {
        one.release();
    }
    env.control_plane.start_etcd().await.unwrap();
    end_as_without_fault(&env, &requests, 1, false).await;
}

/// Fault 20, over HTTP/2: a request waits for 30 s at most, but its connection, which all other requests use, is
/// abandoned after half of that.
#[tokio::test]
async fn a_silent_api_server_is_noticed_before_a_request_to_it_times_out() {
    let (env, operator) = env_with_own_control_plane().await;
    let requests = both(&env.sandbox, "struck");
    let calls = hold_calls(&env, &requests, HoldPoint::AfterEffect).await;

    env.control_plane.freeze_api_server().unwrap();
    let silent = Instant::now();
    for one in calls {
        one.release();
    }
    operator.wait_for_log("the outcome is not stored yet").await;
    let noticed = silent.elapsed();
    env.control_plane.thaw_api_server().unwrap();

    assert!((5..25).contains(&noticed.as_secs()), "noticed after {noticed:?}");
    end_as_without_fault(&env, &requests, 1, false).await;
}

/// Fault 12: the old object waits for its next attempt when another object gets its name.
#[tokio::test]
async fn nothing_is_called_for_an_object_that_was_deleted_and_recreated_unseen() {
    let (env, proxy, _operator) = behind_proxy().await;
    let requests = both(&env.sandbox, "struck");
    for request in &requests {
        let locked = Fault::on(Operation::Changing).connector(request.id).answer(423);
        env.sandbox.inject(locked.header("retry-after", "4"));
    }
    apply(&env, &requests).await;
    for request in &requests {
        request.wait_for_reason(&env, "Retrying").await;
    }
    let watches = freeze_watches(&proxy).await;
    let mut suspended = Vec::new();
    for request in &requests {
        env.delete(request.kind, &request.name).await;
        suspended.push(request.manifest().spec("suspend", true));
    }
    env.apply_all(suspended).await;
    let writes: Vec<usize> = requests.iter().map(|request| written(&proxy, request)).collect();
    for (request, writes) in requests.iter().zip(writes) {
        until("the operator tries to claim the old object", || written(&proxy, request) > writes).await;
    }
    for one in watches {
        one.release();
    }
    for request in &requests {
        request.wait_for_reason(&env, "Suspended").await;
        assert_eq!(request.calls(&env.sandbox).len(), 1, "a call for a deleted object");
        request.patch_spec(&env, &json!({"suspend": false})).await;
    }

    end_as_without_fault(&env, &requests, 2, false).await;

    for request in &requests {
        let calls = request.calls(&env.sandbox);
        assert_ne!(calls[0].idempotency_key, calls[1].idempotency_key, "two objects are two requests");
    }
}

/// Faults 10 and 11: a call under way and a repetition, while the cache lacks everything written since.
#[tokio::test]
async fn an_outdated_cache_causes_no_second_call() {
    let (env, proxy, _operator) = behind_proxy_with_time().await;
    let requests = both(&env.sandbox, "struck");
    for request in &requests {
        env.sandbox.inject(Fault::on(Operation::Changing).connector(request.id).answer(423));
    }
    let calls = hold_calls(&env, &requests, HoldPoint::BeforeEffect).await;
    let watches = freeze_watches(&proxy).await;
    for one in calls {
        one.release();
    }
    for request in &requests {
        request.succeeds(&env).await;
    }
    for one in watches {
        one.release();
    }

    end_as_without_fault(&env, &requests, 2, false).await;

    for request in &requests {
        assert_eq!(written(&proxy, request), 4, "two claims, two outcomes, no conflict");
    }
}

/// Fault 13.
#[tokio::test]
async fn a_watch_that_ends_with_410_during_a_call_is_relisted_without_a_second_call() {
    let (env, proxy, _operator) = behind_proxy_with_time().await;
    let requests = both(&env.sandbox, "struck");
    let calls = hold_calls(&env, &requests, HoldPoint::AfterEffect).await;
    let watches = freeze_watches(&proxy).await;
    let unseen = both(&env.sandbox, "unseen");
    apply(&env, &unseen).await;
    let listed = PLURALS.map(|plural| proxy.count(&lists(plural)));
    for watch in watches {
        watch.answer(200, watch_expired());
    }
    for request in &unseen {
        request.succeeds(&env).await;
    }
    for one in calls {
        one.release();
    }

    end_as_without_fault(&env, &requests, 1, false).await;
    end_as_without_fault(&env, &unseen, 1, false).await;
    for (plural, before) in PLURALS.into_iter().zip(listed) {
        assert!(proxy.count(&lists(plural)) > before, "{plural} were not listed again");
    }
}

/// An API server before Kubernetes 1.34 may not support streaming lists.
#[tokio::test]
async fn lists_are_paged_if_the_api_server_does_not_stream_them() {
    let env = TestEnv::new().await;
    let before = both(&env.sandbox, "before");
    apply(&env, &before).await;
    let proxy = Proxy::start(&env.control_plane).await.unwrap();
    let streamed = || Rule::any().and("a streamed list", Call::is_streamed_list);
    proxy.answer(streamed().always(), Point::BeforeForward, 422, &[], failure(422, "Invalid"));
    let _operator = env.start_behind(&proxy, Flags::default()).await;
    let after = both(&env.sandbox, "after");
    apply(&env, &after).await;

    for request in before.iter().chain(&after) {
        request.succeeds(&env).await;
        assert_eq!(env.sandbox.effects(request.id), 1, "{}", env.sandbox.ledger());
    }
    assert_eq!(proxy.count(&streamed()), PLURALS.len(), "it keeps asking for streaming lists");
}
