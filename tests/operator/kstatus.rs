//! What Argo CD, Flux and whoever else reads kstatus make of a request.

use cde_sandbox::cde::{Fault, HoldPoint, Operation, RollbackEffect};
use serde_json::{Value, json};

use crate::world::{Kind, Object, Request, World, from_now};

/// The rules of kstatus for a kind that it does not know: deletion, generation, the first of Reconciling and
/// Stalled that is True, Ready; an object that says nothing counts as current.
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
    let world = World::new().await;
    for kind in [Kind::Restore, Kind::Rollback] {
        let request = Request::new(kind, "new");
        world.apply(&request.manifest()).await;
        let object = world.look(kind, &request.name).await;
        assert_eq!(kstatus(&object), "InProgress", "{object:#?}");
    }
}

#[tokio::test]
async fn a_request_with_work_ahead_is_in_progress_whatever_it_waits_for() {
    let (world, _operator) = World::brisk().await;
    let rollback = |what: &str| Request::new(Kind::Rollback, what);
    let [busy, behind, asleep] = ["busy", "behind", "asleep"].map(rollback);
    let locked = Fault::on(Operation::Rollback).answer(423).header("retry-after", "3600");
    let waiting = world.request(Kind::Rollback, "waiting", locked);
    let lost = Fault::on(Operation::Rollback).answer(500).after_effect();
    let moving = world.request(Kind::Rollback, "moving", lost);
    world.sandbox.put(moving.willing().on_rollback(RollbackEffect::Moving));
    world.sandbox.put(busy.willing());
    let behind = Request { id: busy.id, ..behind };
    let mut held = world.sandbox.hold(Operation::Rollback, busy.id, HoldPoint::BeforeEffect);
    world.apply_all([&busy, &waiting, &moving].map(Request::manifest)).await;
    held.arrived().await.expect("an attempt");
    world.apply_all([behind.manifest(), asleep.manifest().spec("suspend", true)]).await;

    for (request, reason) in [
        (&busy, "InProgress"),
        (&behind, "Pending"),
        (&waiting, "Retrying"),
        (&moving, "Verifying"),
        (&asleep, "Suspended"),
    ] {
        let object = world.comes_to(request, reason).await;
        assert_eq!(kstatus(&object), "InProgress", "{reason}: {object:#?}");
    }
    held.release();
}

#[tokio::test]
async fn a_request_whose_token_is_refused_is_in_progress_and_goes_on_with_another_token() {
    let (world, _operator) = World::brisk().await;
    for kind in [Kind::Restore, Kind::Rollback] {
        let request = Request::new(kind, "unauthorized");
        world.sandbox.put(request.willing());
        world.sandbox.set_token(format!("another-{}", request.name));
        world.apply(&request.manifest()).await;
        let object = world.comes_to(&request, "Unauthorized").await;
        assert_eq!(kstatus(&object), "InProgress", "{object:#?}");
        assert_eq!(object.operation()["nextAttemptAt"], Value::Null);

        std::fs::write(world.token_file(), world.sandbox.token()).expect("a token file");

        let done = world.comes_to(&request, request.success()).await;
        assert_eq!(world.sandbox.effects(request.id), 1);
        assert_eq!(done.last_error()["code"], 401);
    }
}

#[tokio::test]
async fn a_request_that_failed_is_failed_and_stays_so_when_its_edit_was_observed() {
    let (world, _operator) = World::brisk().await;
    let answer = |code: u16| Fault::on(Operation::Rollback).answer(code).always();
    let rejections = [("NotAllowed", 400), ("AccessDenied", 403), ("NotFound", 404), ("Rejected", 422)];
    let mut cases: Vec<(Request, &str)> = Vec::new();
    for (reason, code) in rejections {
        cases.push((world.request(Kind::Rollback, &code.to_string(), answer(code)), reason));
    }
    let unknown = world.request(Kind::Rollback, "unknown", answer(500).after_effect());
    world.sandbox.put(unknown.willing().on_rollback(RollbackEffect::StateOnly));
    cases.push((unknown, "OutcomeUnknown"));
    world.apply_all(cases.iter().map(|(request, _)| request.manifest())).await;
    let [late, slow, unmet] = ["late", "slow", "unmet"].map(|what| Request::new(Kind::Rollback, what));
    world.sandbox.put(unmet.willing());
    world
        .apply_all([
            late.manifest().spec("notAfter", from_now(-60)),
            slow.manifest().spec("suspend", true).spec("activeDeadlineSeconds", 1),
            unmet.manifest().spec("preconditions", json!({"state": "built"})),
        ])
        .await;
    cases.extend([(late, "Expired"), (slow, "DeadlineExceeded"), (unmet, "PreconditionFailed")]);

    for (request, reason) in &cases {
        let object = world.comes_to(request, reason).await;
        assert_eq!(kstatus(&object), "Failed", "{reason}: {object:#?}");
        world.patch(request, json!({"spec": {"activeDeadlineSeconds": 600}})).await;
    }
    for (request, reason) in &cases {
        let object = world.observes(request, 2).await;
        assert_eq!((object.reason(), kstatus(&object)), (*reason, "Failed"), "{object:#?}");
    }
}

#[tokio::test]
async fn a_request_that_succeeded_or_was_skipped_is_current_also_after_an_edit() {
    let (world, _operator) = World::brisk().await;
    let mut cases: Vec<(Request, &str)> = Vec::new();
    for kind in [Kind::Restore, Kind::Rollback] {
        let [done, skipped] = ["done", "skipped"].map(|what| Request::new(kind, what));
        world.sandbox.put(done.willing());
        let old = skipped.manifest().spec("notAfter", from_now(-2 * 24 * 3600));
        world.apply_all([done.manifest(), old]).await;
        let success = done.success();
        cases.extend([(done, success), (skipped, "Skipped")]);
    }
    let live = Request::new(Kind::Restore, "live");
    world.sandbox.put(cde_sandbox::cde::Connector::migrated(live.id));
    world.apply(&live.manifest()).await;
    cases.push((live, "AlreadyRestored"));

    for (request, reason) in &cases {
        let object = world.comes_to(request, reason).await;
        assert_eq!(kstatus(&object), "Current", "{reason}: {object:#?}");
        world.patch(request, json!({"spec": {"activeDeadlineSeconds": 600}})).await;
        let edited = world.look(request.kind, &request.name).await;
        assert_eq!(edited.metadata()["generation"], 2);
        assert_eq!(kstatus(&edited), "Current", "{reason}: {edited:#?}");
    }
}
