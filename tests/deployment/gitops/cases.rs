//! Each kind with each reason that it can have, as the operator itself wrote it. Created once for all tests.

use std::time::Duration;

use cde_sandbox::cde::{Connector, Fault, HoldPoint, Operation, RollbackEffect};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::tools::test_env;
use cde_harness::{Flags, Kind, LoginEnv, Manifest, Object, Request, TestEnv, from_now};

pub(crate) const BOTH: [Kind; 2] = [Kind::Restore, Kind::Rollback];

/// The message for a rollback in the API reference.
const NEVER_SYNCHRONIZED: &str =
    "Operation is only allowed for connectors that were previously synchronized to production";

/// An object as it was stored at some point.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    /// Its reason, or `New` (no operator has seen it), `Deleted`, `DeletedRecord`, `EditedFailure` or `EditedRecord`
    /// (no operator has seen the edit).
    pub(crate) what: &'static str,
    pub(crate) object: Value,
}

/// Returns all cases.
pub(crate) async fn cases() -> &'static [Case] {
    static CASES: OnceCell<Vec<Case>> = OnceCell::const_new();
    CASES.get_or_init(create).await
}

/// Returns the case of this kind and name.
pub(crate) async fn case(kind: Kind, what: &str) -> &'static Case {
    let mut all = cases().await.iter();
    all.find(|case| case.kind == kind && case.what == what)
        .unwrap_or_else(|| panic!("no case {what} of {kind:?}"))
}

fn keep(cases: &mut Vec<Case>, kind: Kind, what: &'static str, object: Object) {
    cases.push(Case { kind, what, object: object.0 });
}

async fn create() -> Vec<Case> {
    let (env, mut cases) = (test_env().await, Vec::new());
    unseen(&env, &mut cases).await;
    let mut operator = env.start(Flags::fast_retries()).await;
    finished(&env, &mut cases).await;
    waiting(&env, &mut cases).await;
    deleted(&env, &mut cases).await;
    unauthorized(&env, &mut cases).await;
    logged_out(&mut cases).await;
    operator.kill();
    edited(&env, &mut cases).await;
    cases
}

/// Adds objects from before an operator runs.
async fn unseen(env: &TestEnv, cases: &mut Vec<Case>) {
    for kind in BOTH {
        let request = Request::new(kind, "new");
        env.apply(&request.manifest()).await;
        keep(cases, kind, "New", env.get(kind, &request.name).await);
        env.delete(kind, &request.name).await;
    }
}

/// A request, its manifest, and its resulting reason.
type Plan = (Request, Manifest, &'static str);

fn as_it_is(request: Request, reason: &'static str) -> Plan {
    let manifest = request.manifest();
    (request, manifest, reason)
}

async fn finished(env: &TestEnv, cases: &mut Vec<Case>) {
    let mut plans = Vec::new();
    for kind in BOTH {
        plans.extend(refused(env, kind));
        plans.extend(out_of_time(env, kind));
        plans.push(in_doubt(env, kind));
        let done = Request::new(kind, "done");
        env.sandbox.put(done.ready_connector());
        let success = done.success();
        plans.push(as_it_is(done, success));
    }
    let live = Request::new(Kind::Restore, "already-live");
    env.sandbox.put(Connector::migrated(live.id));
    plans.push(as_it_is(live, "AlreadyRestored"));
    let unmet = Request::new(Kind::Rollback, "precondition-failed");
    env.sandbox.put(unmet.ready_connector());
    let other_release = json!({"executables": {"production": 31}});
    let manifest = unmet.manifest().spec("preconditions", other_release);
    plans.push((unmet, manifest, "PreconditionFailed"));

    env.apply_all(plans.iter().map(|(_, manifest, _)| manifest.clone())).await;
    for (request, _, reason) in plans {
        let object = env.wait_for(&request, reason).await;
        let id = object.request_id().to_owned();
        keep(cases, request.kind, reason, object);
        if reason == "OutcomeUnknown" {
            let confirm = json!({"cde.productsup.com/confirm": format!("{id}:Failed")});
            env.patch(&request, json!({"metadata": {"annotations": confirm}})).await;
            let confirmed = env.wait_for(&request, "ConfirmedFailed").await;
            keep(cases, request.kind, "ConfirmedFailed", confirmed);
        }
    }
}

/// Returns requests that the CDE finally refuses.
fn refused(env: &TestEnv, kind: Kind) -> Vec<Plan> {
    let answer = |code: u16| Fault::on(Operation::Changing).answer(code).always();
    let never = answer(400).set("/message", json!(NEVER_SYNCHRONIZED));
    let [denied, unknown] = ["access-denied", "not-found"].map(|what| Request::new(kind, what));
    env.sandbox.put(denied.ready_connector().forbidden());
    vec![
        as_it_is(env.request(kind, "not-allowed", never), "OperationNotAllowed"),
        as_it_is(env.request(kind, "rejected", answer(422)), "RequestRejected"),
        as_it_is(denied, "AccessDenied"),
        as_it_is(unknown, "NotFound"),
    ]
}

/// Returns requests that start too late.
fn out_of_time(env: &TestEnv, kind: Kind) -> Vec<Plan> {
    let names = ["expired", "deadline-exceeded", "skipped"];
    let [late, slow, old] = names.map(|what| Request::new(kind, what));
    for request in [&late, &slow, &old] {
        env.sandbox.put(request.ready_connector());
    }
    // The deadline passes before its preview succeeds, however fast the operator reads.
    env.sandbox.inject(Fault::on(Operation::Read).connector(slow.id).answer(500).always());
    let after = |request: &Request, seconds| request.manifest().spec("notAfter", from_now(seconds));
    let (expired, skipped) = (after(&late, -60), after(&old, -2 * 24 * 3600));
    let overslept = slow.manifest().spec("suspend", true).spec("deadlineSeconds", 1);
    vec![(late, expired, "Expired"), (slow, overslept, "DeadlineExceeded"), (old, skipped, "Skipped")]
}

/// Returns a request that may have had an effect, which no read can show.
fn in_doubt(env: &TestEnv, kind: Kind) -> Plan {
    let lost = Fault::on(Operation::Changing).answer(500);
    let request = match kind {
        Kind::Rollback => {
            let request = env.request(kind, "outcome-unknown", lost.after_effect());
            env.sandbox.put(request.ready_connector().on_rollback(RollbackEffect::StateOnly));
            request
        }
        // The lost attempt left the connector in the bin, and the next attempt is refused.
        Kind::Restore => {
            let request = env.request(kind, "outcome-unknown", lost);
            let refused = Fault::on(Operation::Changing).connector(request.id).answer(400).always();
            env.sandbox.inject(refused.set("/message", json!(NEVER_SYNCHRONIZED)));
            request
        }
    };
    as_it_is(request, "OutcomeUnknown")
}

async fn waiting(env: &TestEnv, cases: &mut Vec<Case>) {
    let in_an_hour = |code: u16| Fault::on(Operation::Changing).answer(code).header("retry-after", "3600");
    for kind in BOTH {
        let [busy, behind, asleep] =
            ["in-progress", "pending", "suspended"].map(|what| Request::new(kind, what));
        let behind = Request { id: busy.id, ..behind };
        let retrying = env.request(kind, "retrying", in_an_hour(423));
        let verifying = env.request(kind, "verifying", in_an_hour(500));
        env.sandbox.put(busy.ready_connector());
        let mut held = env.sandbox.hold(Operation::Changing, busy.id, HoldPoint::BeforeEffect);
        env.apply_all([&busy, &retrying, &verifying].map(Request::manifest)).await;
        held.arrived().await.expect("an attempt");
        keep(cases, kind, "InProgress", env.wait_for(&busy, "InProgress").await);
        env.apply_all([behind.manifest(), asleep.manifest().spec("suspend", true)]).await;
        for (request, reason) in
            [(&behind, "Queued"), (&retrying, "Retrying"), (&verifying, "Verifying"), (&asleep, "Suspended")]
        {
            keep(cases, kind, reason, env.wait_for(request, reason).await);
        }
        held.release();
    }
}

/// Adds objects that a finalizer keeps: an open request, and a record.
async fn deleted(env: &TestEnv, cases: &mut Vec<Case>) {
    for kind in BOTH {
        let [asleep, done] = ["deleted", "deleted-record"].map(|what| Request::new(kind, what));
        env.sandbox.put(done.ready_connector());
        let manifests = [asleep.manifest().spec("suspend", true), done.manifest()];
        env.apply_all(manifests.map(Manifest::finalizer)).await;
        for (request, reason, what) in
            [(&asleep, "Suspended", "Deleted"), (&done, done.success(), "DeletedRecord")]
        {
            env.wait_for(request, reason).await;
            env.delete(kind, &request.name).await;
            keep(cases, kind, what, env.get(kind, &request.name).await);
        }
    }
}

async fn unauthorized(env: &TestEnv, cases: &mut Vec<Case>) {
    for kind in BOTH {
        let request = Request::new(kind, "unauthorized");
        env.sandbox.put(request.ready_connector());
        env.sandbox.set_token(format!("another-{}", request.name));
        env.apply(&request.manifest()).await;
        keep(cases, kind, "TokenRejected", env.wait_for(&request, "TokenRejected").await);
        let held = Request::new(kind, "on-hold");
        env.sandbox.put(held.ready_connector());
        env.apply(&held.manifest()).await;
        keep(cases, kind, "OnHold", env.wait_for(&held, "OnHold").await);
        std::fs::write(env.token_file(), env.sandbox.token()).expect("a token file");
        for request in [&request, &held] {
            env.wait_for(request, request.success()).await;
        }
    }
}

/// The login of an operator of its own was revoked, which the first request has found out.
async fn logged_out(cases: &mut Vec<Case>) {
    let login = LoginEnv::new(Duration::from_hours(1)).await;
    login.log_in().await;
    let _operator = login.env.start(login.flags()).await;
    login.server.revoke_all().await.expect("an answer");
    for (kind, name) in
        [(Kind::Rollback, "first"), (Kind::Restore, "logged-out"), (Kind::Rollback, "logged-out")]
    {
        let request = Request::new(kind, name);
        login.env.sandbox.put(request.ready_connector());
        login.env.apply(&request.manifest()).await;
        let waiting = login.env.wait_for(&request, "LoginRequired").await;
        if name != "first" {
            keep(cases, kind, "LoginRequired", waiting);
        }
    }
}

/// Adds edits that no operator has seen.
async fn edited(env: &TestEnv, cases: &mut Vec<Case>) {
    for kind in BOTH {
        for (name, what) in [("rejected", "EditedFailure"), ("done", "EditedRecord")] {
            let request = Request::new(kind, name);
            env.patch(&request, json!({"spec": {"deadlineSeconds": 600}})).await;
            keep(cases, kind, what, env.get(kind, &request.name).await);
        }
    }
}
