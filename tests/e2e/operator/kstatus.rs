//! The status of a request as Argo CD, Flux and other users of kstatus compute it.

use cde_sandbox::cde::{Fault, HoldPoint, Operation, RollbackEffect};
use serde_json::{Value, json};

use cde_harness::{Kind, Object, Request, TestEnv, from_now};

/// Returns the kstatus of a custom resource: from deletion, the generation, the first of Reconciling and Stalled that
/// is True, and Ready. An object without any of them is current.
fn kstatus(object: &Object) -> &'static str {
    if object.metadata()["deletionTimestamp"].is_string() {
        return "Terminating";
    }
    let observed = object.status()["observedGeneration"].as_i64();
    if observed.is_some_and(|observed| Some(observed) != object.metadata()["generation"].as_i64()) {
        return "InProgress";
    }
    let conditions: Vec<&Value> = object.status()["conditions"].as_array().into_iter().flatten().collect();
    for condition in &conditions {
        match (condition["type"].as_str(), condition["status"].as_str()) {
            (Some("Reconciling"), Some("True")) => return "InProgress",
            (Some("Stalled"), Some("True")) => return "Failed",
            _ => {}
        }
    }
    match conditions.iter().find(|condition| condition["type"] == "Ready") {
        Some(ready) if ready["status"] != "True" => "InProgress",
        _ => "Current",
    }
}

#[tokio::test]
async fn an_object_that_no_operator_has_seen_is_in_progress_and_never_current() {
    let env = TestEnv::new().await;
    for kind in [Kind::Restore, Kind::Rollback] {
        let request = Request::new(kind, "new");
        env.apply(&request.manifest()).await;
        let object = env.get(kind, &request.name).await;
        assert_eq!(kstatus(&object), "InProgress", "{object:#?}");
    }
}

#[tokio::test]
async fn an_open_request_is_in_progress_whatever_it_waits_for() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let rollback = |what: &str| Request::new(Kind::Rollback, what);
    let [busy, behind, asleep] = ["busy", "behind", "asleep"].map(rollback);
    let locked = Fault::on(Operation::Rollback).answer(423).header("retry-after", "3600");
    let waiting = env.request(Kind::Rollback, "waiting", locked);
    let lost = Fault::on(Operation::Rollback).answer(500).after_effect();
    let moving = env.request(Kind::Rollback, "moving", lost);
    env.sandbox.put(moving.ready_connector().on_rollback(RollbackEffect::Moving));
    env.sandbox.put(busy.ready_connector());
    let behind = Request { id: busy.id, ..behind };
    let mut held = env.sandbox.hold(Operation::Rollback, busy.id, HoldPoint::BeforeEffect);
    env.apply_all([&busy, &waiting, &moving].map(Request::manifest)).await;
    held.arrived().await.expect("an attempt");
    env.apply_all([behind.manifest(), asleep.manifest().spec("suspend", true)]).await;

    for (request, reason) in [
        (&busy, "InProgress"),
        (&behind, "Queued"),
        (&waiting, "Retrying"),
        (&moving, "Verifying"),
        (&asleep, "Suspended"),
    ] {
        let object = env.wait_for(request, reason).await;
        assert_eq!(kstatus(&object), "InProgress", "{reason}: {object:#?}");
    }
    held.release();
}

#[tokio::test]
async fn a_request_with_a_rejected_token_is_in_progress_until_the_token_is_replaced() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    for kind in [Kind::Restore, Kind::Rollback] {
        let request = Request::new(kind, "unauthorized");
        env.sandbox.put(request.ready_connector());
        env.sandbox.set_token(format!("another-{}", request.name));
        env.apply(&request.manifest()).await;
        let object = env.wait_for(&request, "TokenRejected").await;
        assert_eq!(kstatus(&object), "InProgress", "{object:#?}");
        assert_eq!(object.operation()["nextAttemptTime"], Value::Null);

        std::fs::write(env.token_file(), env.sandbox.token()).expect("a token file");

        let done = env.wait_for(&request, request.success()).await;
        assert_eq!(env.sandbox.effects(request.id), 1);
        assert_eq!(done.last_error()["code"], 401);
    }
}

#[tokio::test]
async fn a_failed_request_stays_failed_after_an_observed_edit() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let answer = |code: u16| Fault::on(Operation::Rollback).answer(code).always();
    let rejections =
        [("OperationNotAllowed", 400), ("AccessDenied", 403), ("NotFound", 404), ("RequestRejected", 422)];
    let mut cases: Vec<(Request, &str)> = Vec::new();
    for (reason, code) in rejections {
        cases.push((env.request(Kind::Rollback, &code.to_string(), answer(code)), reason));
    }
    let unknown = env.request(Kind::Rollback, "unknown", answer(500).after_effect());
    env.sandbox.put(unknown.ready_connector().on_rollback(RollbackEffect::StateOnly));
    cases.push((unknown, "OutcomeUnknown"));
    env.apply_all(cases.iter().map(|(request, _)| request.manifest())).await;
    let [late, slow, unmet] = ["late", "slow", "unmet"].map(|what| Request::new(Kind::Rollback, what));
    env.sandbox.put(unmet.ready_connector());
    env.apply_all([
        late.manifest().spec("notAfter", from_now(-60)),
        slow.manifest().spec("suspend", true).spec("deadlineSeconds", 1),
        unmet.manifest().spec("preconditions", json!({"state": "built"})),
    ])
    .await;
    cases.extend([(late, "Expired"), (slow, "DeadlineExceeded"), (unmet, "PreconditionFailed")]);

    for (request, reason) in &cases {
        let object = env.wait_for(request, reason).await;
        assert_eq!(kstatus(&object), "Failed", "{reason}: {object:#?}");
        env.patch(request, json!({"spec": {"deadlineSeconds": 600}})).await;
    }
    for (request, reason) in &cases {
        let object = env.wait_for_generation(request, 2).await;
        assert_eq!((object.reason(), kstatus(&object)), (*reason, "Failed"), "{object:#?}");
    }
}

#[tokio::test]
async fn a_succeeded_or_skipped_request_stays_current_after_an_edit() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let mut cases: Vec<(Request, &str)> = Vec::new();
    for kind in [Kind::Restore, Kind::Rollback] {
        let [done, skipped] = ["done", "skipped"].map(|what| Request::new(kind, what));
        env.sandbox.put(done.ready_connector());
        let old = skipped.manifest().spec("notAfter", from_now(-2 * 24 * 3600));
        env.apply_all([done.manifest(), old]).await;
        let success = done.success();
        cases.extend([(done, success), (skipped, "Skipped")]);
    }
    let live = Request::new(Kind::Restore, "live");
    env.sandbox.put(cde_sandbox::cde::Connector::migrated(live.id));
    env.apply(&live.manifest()).await;
    cases.push((live, "AlreadyRestored"));

    for (request, reason) in &cases {
        let object = env.wait_for(request, reason).await;
        assert_eq!(kstatus(&object), "Current", "{reason}: {object:#?}");
        env.patch(request, json!({"spec": {"deadlineSeconds": 600}})).await;
        let edited = env.get(request.kind, &request.name).await;
        assert_eq!(edited.metadata()["generation"], 2);
        assert_eq!(kstatus(&edited), "Current", "{reason}: {edited:#?}");
    }
}
