//! The requests that an upgrade finds: one in every state, brought there by the old version.

use cde_sandbox::cde::{Connector, Fault, Held, HoldPoint, Operation, Version as Migrated};
use serde_json::json;

use cde_harness::{Kind, Manifest, Object, Request, TestEnv, from_now};

pub(crate) const BOTH: [Kind; 2] = [Kind::Restore, Kind::Rollback];

/// A request as the old version has left it.
pub(crate) struct ExistingRequest {
    pub(crate) request: Request,
    pub(crate) object: Object,
    /// The changing calls so far for its connector.
    calls: usize,
    effects: usize,
    events: usize,
}

impl ExistingRequest {
    async fn by(env: &TestEnv, request: Request, reason: &str) -> Self {
        let object = env.wait_for(&request, reason).await;
        let (calls, effects) = (env.attempts(&request).len(), env.sandbox.effects(request.id));
        let events = env.events(&request.name).await.len();
        Self { request, object, calls, effects, events }
    }

    /// Checks that nothing has written it or called for it since.
    pub(crate) async fn check_unchanged(&self, env: &TestEnv) {
        let name = &self.request.name;
        let now = env.get(self.request.kind, name).await;
        assert_eq!(now.0, self.object.0, "{name} was written");
        assert_eq!(env.events(name).await.len(), self.events, "{name} has other Events");
        self.check_cost(env, 0, 0);
    }

    /// Checks that it is suspended as before, except for its preview: an operator without previews writes another
    /// message.
    async fn check_still_suspended(&self, env: &TestEnv) {
        let name = &self.request.name;
        let now = env.get(self.request.kind, name).await;
        assert_eq!((now.reason(), now.operation()), ("Suspended", self.object.operation()), "{name}");
        assert_eq!(env.events(name).await.len(), self.events, "{name} has other Events");
        self.check_cost(env, 0, 0);
    }

    /// Checks that there were this many more calls and effects.
    fn check_cost(&self, env: &TestEnv, calls: usize, effects: usize) {
        let request = &self.request;
        let now = (env.attempts(request).len(), env.sandbox.effects(request.id));
        let ledger = env.sandbox.ledger();
        assert_eq!(now, (self.calls + calls, self.effects + effects), "{}:\n{ledger}", request.name);
    }

    /// Checks that it is the same request and keeps its counts.
    fn check_same_request(&self, done: &Object) {
        for field in ["id", "startTime", "backoffStep"] {
            assert_eq!(done.operation()[field], self.object.operation()[field], "{field} of {done:#?}");
        }
    }
}

/// All requests, without those whose calls are held.
pub(crate) struct ExistingRequests {
    /// Succeeded, failed, unknown, skipped.
    pub(crate) finished: Vec<ExistingRequest>,
    /// Refused once, and waiting for an hour.
    waiting: Vec<ExistingRequest>,
    /// Carried out, but the response was an error: to be verified in an hour.
    doubtful: Vec<ExistingRequest>,
    /// Suspended before the first attempt.
    asleep: Vec<ExistingRequest>,
    /// Suspended after an attempt.
    paused: Vec<ExistingRequest>,
}

const LONG: &str = "3600";

impl ExistingRequests {
    /// Applies the manifests, and waits until the running operator has brought each request to its final state.
    pub(crate) async fn create(env: &TestEnv) -> Self {
        let mut finished = finished(env);
        let rejected = Fault::on(Operation::Changing).answer(422).always();
        finished
            .extend(BOTH.map(|kind| (env.request(kind, "rejected", rejected.clone()), "RequestRejected")));
        let locked = Fault::on(Operation::Changing).answer(423).header("retry-after", LONG);
        let waiting = BOTH.map(|kind| env.request(kind, "waiting", locked.clone()));
        let paused = BOTH.map(|kind| env.request(kind, "paused", locked.clone()));
        let lost = Fault::on(Operation::Changing).answer(500).header("retry-after", LONG).after_effect();
        let doubtful = BOTH.map(|kind| env.request(kind, "doubtful", lost.clone()));
        let asleep = BOTH.map(|kind| Request::new(kind, "asleep"));
        for request in &asleep {
            env.sandbox.put(request.ready_connector());
        }

        let plain =
            finished.iter().map(|(request, _)| request).chain(&waiting).chain(&paused).chain(&doubtful);
        let sleeping = asleep.iter().map(|request| request.manifest().spec("suspend", true));
        env.apply_all(plain.map(manifest).chain(sleeping)).await;
        for request in &paused {
            env.wait_for(request, "Retrying").await;
            env.patch(request, json!({"spec": {"suspend": true}})).await;
        }
        let with = |requests: [Request; 2], reason| requests.map(|request| (request, reason)).to_vec();
        let [waiting, doubtful] = [with(waiting, "Retrying"), with(doubtful, "Verifying")];
        let [asleep, paused] = [with(asleep, "Suspended"), with(paused, "Suspended")];
        for (request, reason) in [&finished, &waiting, &doubtful, &asleep, &paused].into_iter().flatten() {
            env.wait_for(request, reason).await;
        }
        env.flush_events().await;
        let left = async |requests: Vec<(Request, &'static str)>| {
            let mut all = Vec::new();
            for (request, reason) in requests {
                all.push(ExistingRequest::by(env, request, reason).await);
            }
            all
        };
        Self {
            finished: left(finished).await,
            waiting: left(waiting).await,
            doubtful: left(doubtful).await,
            asleep: left(asleep).await,
            paused: left(paused).await,
        }
    }

    /// Checks that finished, waiting and suspended requests are as before: no Event, no call, and no write except
    /// previews.
    pub(crate) async fn check_unchanged(&self, env: &TestEnv) {
        for left in self.finished.iter().chain(&self.waiting).chain(&self.doubtful) {
            left.check_unchanged(env).await;
        }
        for left in self.asleep.iter().chain(&self.paused) {
            left.check_still_suspended(env).await;
        }
    }

    /// Checks that something has written all of them without a change, so that the records are the same.
    pub(crate) async fn check_rewritten(&mut self, env: &TestEnv) {
        let open = [&mut self.waiting, &mut self.doubtful, &mut self.asleep, &mut self.paused];
        for left in self.finished.iter_mut().chain(open.into_iter().flatten()) {
            let now = env.get(left.request.kind, &left.request.name).await;
            let record = |object: &Object| (object.metadata()["uid"].clone(), object.status().clone());
            assert_eq!(record(&now), record(&left.object), "{}", left.request.name);
            assert_ne!(now.resource_version(), left.object.resource_version(), "it was not written");
            left.object = now;
        }
    }

    /// Checks that a retry makes the waiting requests continue with their counts, and that finished ones stay as they
    /// are.
    pub(crate) async fn check_retries(&self, env: &TestEnv) {
        for left in self.asleep.iter().chain(&self.paused) {
            env.patch(&left.request, json!({"spec": {"suspend": null}})).await;
        }
        for left in self.waiting.iter().chain(&self.paused).chain(&self.doubtful) {
            env.annotate_retry(&left.request, &from_now(0)).await;
        }
        for left in self.waiting.iter().chain(&self.paused) {
            let done = env.wait_for(&left.request, left.request.success()).await;
            left.check_same_request(&done);
            assert_eq!((left.object.attempts(), done.attempts()), (1, 2), "{done:#?}");
            left.check_cost(env, 1, 1);
        }
        for left in &self.doubtful {
            let done = env.wait_for(&left.request, left.request.success()).await;
            left.check_same_request(&done);
            assert_eq!(
                (done.attempts(), &done.operation()["evidence"]),
                (1, &left.request.observed().into())
            );
            left.check_cost(env, 0, 0);
        }
        for left in &self.asleep {
            let done = env.wait_for(&left.request, left.request.success()).await;
            left.check_same_request(&done);
            assert_eq!(done.attempts(), 1, "{done:#?}");
            left.check_cost(env, 1, 1);
        }
        env.settle().await;
        for left in &self.finished {
            left.check_unchanged(env).await;
        }
    }
}

/// Returns one request for each end.
fn finished(env: &TestEnv) -> Vec<(Request, &'static str)> {
    let mut all = Vec::new();
    for kind in BOTH {
        let request = Request::new(kind, "done");
        env.sandbox.put(request.ready_connector());
        all.push((request.clone(), request.success()));
        let request = Request::new(kind, "skipped");
        all.push((request, "Skipped"));
        all.push((Request::new(kind, "absent"), "NotFound"));
    }
    let already = Request::new(Kind::Restore, "already");
    env.sandbox.put(Connector::live(already.id).version(Migrated::default()));
    all.push((already, "AlreadyRestored"));
    let unfit = Request::new(Kind::Rollback, "unfit");
    env.sandbox.put(unfit.ready_connector());
    all.push((unfit, "PreconditionFailed"));
    // Its first call gets an error, and reading is refused.
    let unknown = env.request(Kind::Rollback, "unknown", Fault::on(Operation::Rollback).answer(500));
    env.sandbox.put(unknown.ready_connector().reading_forbidden());
    all.push((unknown, "OutcomeUnknown"));
    all
}

/// Returns the manifest that brings a request to the state in its name.
fn manifest(request: &Request) -> Manifest {
    let manifest = request.manifest();
    match request.name.rsplit('-').next() {
        Some("skipped") => manifest.spec("notAfter", from_now(-2 * 24 * 60 * 60)),
        Some("unfit") => manifest.spec("preconditions", json!({"state": "created"})),
        _ => manifest,
    }
}

/// A request whose call is held.
pub(crate) struct HeldRequest {
    pub(crate) request: Request,
    pub(crate) call: Held,
}

/// Creates requests of both kinds whose calls are held at this point.
pub(crate) async fn hold_calls(env: &TestEnv, what: &str, point: HoldPoint) -> Vec<HeldRequest> {
    let mut flights = Vec::new();
    for kind in BOTH {
        let request = Request::new(kind, what);
        env.sandbox.put(request.ready_connector());
        let call = env.sandbox.hold(Operation::Changing, request.id, point);
        flights.push(HeldRequest { request, call });
    }
    env.apply_all(flights.iter().map(|flight| flight.request.manifest())).await;
    for flight in &mut flights {
        flight.call.arrived().await.expect("the call");
    }
    flights
}

/// Checks the end of a request that was under way: after this many calls, with one effect and this evidence.
pub(crate) async fn check_end(env: &TestEnv, request: &Request, calls: usize, evidence: &str) {
    let done = env.wait_for(request, request.success()).await;
    assert_eq!(done.operation()["evidence"], evidence, "{done:#?}");
    assert_eq!(done.operation()["attempts"], calls, "{done:#?}");
    let operation = match request.kind {
        Kind::Restore => Operation::Restore,
        Kind::Rollback => Operation::Rollback,
    };
    let counted = (env.sandbox.calls(operation, request.id).len(), env.sandbox.effects(request.id));
    assert_eq!(counted, (calls, 1), "{}:\n{}", request.name, env.sandbox.ledger());
}
