//! The requests that an upgrade finds: in every state, brought there by the version that goes.

use cde_sandbox::cde::{Connector, Fault, Held, HoldPoint, Operation, Version as Migrated};
use serde_json::json;

use cde_harness::{Kind, Manifest, Object, Request, TestEnv, from_now};

pub(crate) const BOTH: [Kind; 2] = [Kind::Restore, Kind::Rollback];

/// A request as the version that goes has left it.
pub(crate) struct Left {
    pub(crate) request: Request,
    pub(crate) object: Object,
    /// Calls so far that were to change its connector.
    calls: usize,
    effects: usize,
    events: usize,
}

impl Left {
    async fn by(env: &TestEnv, request: Request, reason: &str) -> Self {
        let object = env.wait_for(&request, reason).await;
        let (calls, effects) = (env.attempts(&request).len(), env.sandbox.effects(request.id));
        let events = env.events(&request.name).await.len();
        Self { request, object, calls, effects, events }
    }

    /// Nobody has written it or called for it since.
    pub(crate) async fn is_as_it_was(&self, env: &TestEnv) {
        let name = &self.request.name;
        let now = env.get(self.request.kind, name).await;
        assert_eq!(now.0, self.object.0, "{name} was written");
        assert_eq!(env.events(name).await.len(), self.events, "{name} was told of");
        self.has_cost(env, 0, 0);
    }

    /// It is suspended as before, but for its preview: an operator that knows none writes another message.
    async fn is_suspended_as_it_was(&self, env: &TestEnv) {
        let name = &self.request.name;
        let now = env.get(self.request.kind, name).await;
        assert_eq!((now.reason(), now.operation()), ("Suspended", self.object.operation()), "{name}");
        assert_eq!(env.events(name).await.len(), self.events, "{name} was told of");
        self.has_cost(env, 0, 0);
    }

    /// So many calls more, and so many effects.
    fn has_cost(&self, env: &TestEnv, calls: usize, effects: usize) {
        let request = &self.request;
        let now = (env.attempts(request).len(), env.sandbox.effects(request.id));
        let ledger = env.sandbox.ledger();
        assert_eq!(now, (self.calls + calls, self.effects + effects), "{}:\n{ledger}", request.name);
    }

    /// The same request, which keeps what was counted of it.
    fn is_the_same_in(&self, done: &Object) {
        for field in ["id", "startTime", "backoffStep"] {
            assert_eq!(done.operation()[field], self.object.operation()[field], "{field} of {done:#?}");
        }
    }
}

/// All of them, the calls that are held apart.
pub(crate) struct Cast {
    /// Succeeded, failed, unknown, skipped.
    pub(crate) finished: Vec<Left>,
    /// Refused once, for an hour.
    waiting: Vec<Left>,
    /// Carried out, but the answer was an error: to be verified in an hour.
    doubtful: Vec<Left>,
    /// Suspended before the first attempt.
    asleep: Vec<Left>,
    /// Suspended after an attempt.
    paused: Vec<Left>,
}

const LONG: &str = "3600";

impl Cast {
    /// Applies the manifests, and waits until the operator that runs has brought each to where it stays.
    pub(crate) async fn play(env: &TestEnv) -> Self {
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
                all.push(Left::by(env, request, reason).await);
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

    /// Whether finished, waiting or suspended: nothing was told or called, and nothing was written but previews.
    pub(crate) async fn is_as_it_was(&self, env: &TestEnv) {
        for left in self.finished.iter().chain(&self.waiting).chain(&self.doubtful) {
            left.is_as_it_was(env).await;
        }
        for left in self.asleep.iter().chain(&self.paused) {
            left.is_suspended_as_it_was(env).await;
        }
    }

    /// Somebody has written all of them without a change: the records are the same.
    pub(crate) async fn was_rewritten(&mut self, env: &TestEnv) {
        let open = [&mut self.waiting, &mut self.doubtful, &mut self.asleep, &mut self.paused];
        for left in self.finished.iter_mut().chain(open.into_iter().flatten()) {
            let now = env.get(left.request.kind, &left.request.name).await;
            let record = |object: &Object| (object.metadata()["uid"].clone(), object.status().clone());
            assert_eq!(record(&now), record(&left.object), "{}", left.request.name);
            assert_ne!(now.resource_version(), left.object.resource_version(), "it was not written");
            left.object = now;
        }
    }

    /// Those that wait go on when they are asked to, with their counts; the finished stay as they are.
    pub(crate) async fn goes_on(&self, env: &TestEnv) {
        for left in self.asleep.iter().chain(&self.paused) {
            env.patch(&left.request, json!({"spec": {"suspend": null}})).await;
        }
        for left in self.waiting.iter().chain(&self.paused).chain(&self.doubtful) {
            env.annotate_retry(&left.request, &from_now(0)).await;
        }
        for left in self.waiting.iter().chain(&self.paused) {
            let done = env.wait_for(&left.request, left.request.success()).await;
            left.is_the_same_in(&done);
            assert_eq!((left.object.attempts(), done.attempts()), (1, 2), "{done:#?}");
            left.has_cost(env, 1, 1);
        }
        for left in &self.doubtful {
            let done = env.wait_for(&left.request, left.request.success()).await;
            left.is_the_same_in(&done);
            assert_eq!(
                (done.attempts(), &done.operation()["evidence"]),
                (1, &left.request.observed().into())
            );
            left.has_cost(env, 0, 0);
        }
        for left in &self.asleep {
            let done = env.wait_for(&left.request, left.request.success()).await;
            left.is_the_same_in(&done);
            assert_eq!(done.attempts(), 1, "{done:#?}");
            left.has_cost(env, 1, 1);
        }
        env.settle().await;
        for left in &self.finished {
            left.is_as_it_was(env).await;
        }
    }
}

/// One of each end.
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
    // Its first call is lost in an error, and nobody may look.
    let unknown = env.request(Kind::Rollback, "unknown", Fault::on(Operation::Rollback).answer(500));
    env.sandbox.put(unknown.ready_connector().reading_forbidden());
    all.push((unknown, "OutcomeUnknown"));
    all
}

/// The manifest that brings a request where its name says.
fn manifest(request: &Request) -> Manifest {
    let manifest = request.manifest();
    match request.name.rsplit('-').next() {
        Some("skipped") => manifest.spec("notAfter", from_now(-2 * 24 * 60 * 60)),
        Some("unfit") => manifest.spec("preconditions", json!({"state": "created"})),
        _ => manifest,
    }
}

/// A request whose call is held at this point.
pub(crate) struct Flight {
    pub(crate) request: Request,
    pub(crate) call: Held,
}

/// Requests of both kinds, their calls held there.
pub(crate) async fn take_off(env: &TestEnv, what: &str, point: HoldPoint) -> Vec<Flight> {
    let mut flights = Vec::new();
    for kind in BOTH {
        let request = Request::new(kind, what);
        env.sandbox.put(request.ready_connector());
        let call = env.sandbox.hold(Operation::Changing, request.id, point);
        flights.push(Flight { request, call });
    }
    env.apply_all(flights.iter().map(|flight| flight.request.manifest())).await;
    for flight in &mut flights {
        flight.call.arrived().await.expect("the call");
    }
    flights
}

/// The end of a request that was under way: after so many calls, with one effect and this evidence.
pub(crate) async fn lands(env: &TestEnv, request: &Request, calls: usize, evidence: &str) {
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
