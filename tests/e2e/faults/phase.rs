//! The phases of a request, and how a test keeps a request in one while a person acts on it.

use cde_sandbox::cde::{Connector, Fault, Held as HeldCall, HoldPoint, Operation, Sandbox};
use cde_sandbox::proxy::{Held as HeldWrite, Point, Proxy};
use futures::future::join_all;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::faults::proxied::{CLAIM, OUTCOME};
use crate::faults::request::{Request, a_restore, a_rollback, plain};
use cde_harness::{Flags, Kind, LIMIT, Object, Operator, TestEnv, from_now};

/// The phase of a request when somebody acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No operator has seen it.
    Unseen,
    /// The connector is being read, before the claim of a rollback.
    Reading,
    /// The claim is on its way to the API server.
    Claiming,
    /// The claim is stored, and its claimer does not have the reply yet.
    Claimed,
    /// The call is under way, without an effect yet.
    Calling,
    /// The call had its effect and is not answered yet.
    Answering,
    /// The outcome is on its way to the API server.
    Recording,
    /// The outcome is stored, and the operator does not have the reply yet.
    Recorded,
    /// The request waits after an attempt without effect.
    Waiting,
    /// An attempt may have had an effect, and had none. The connector is being read to find out.
    Verifying,
    /// An attempt may have had an effect, and had one. The connector is being read to find out.
    VerifyingEffect,
    /// It failed.
    Failed,
    /// It succeeded.
    Finished,
}

impl Phase {
    /// All phases that need an operator and that can last.
    const SEEN: [Self; 11] = [
        Self::Reading,
        Self::Claiming,
        Self::Calling,
        Self::Answering,
        Self::Recording,
        Self::Recorded,
        Self::Waiting,
        Self::Verifying,
        Self::VerifyingEffect,
        Self::Failed,
        Self::Finished,
    ];

    /// Returns how many changing calls a request has that is stopped in this phase: one if it is claimed, and none if
    /// it is not.
    pub(crate) fn calls(self) -> usize {
        match self {
            Self::Unseen | Self::Reading | Self::Claiming => 0,
            _ => 1,
        }
    }

    /// Returns whether the one call of [`Phase::calls`] has an effect.
    pub(crate) fn effects(self) -> usize {
        match self {
            Self::Waiting | Self::Verifying | Self::Failed => 0,
            _ => self.calls(),
        }
    }
}

/// A request in a phase.
pub(crate) struct RequestInPhase {
    pub(crate) phase: Phase,
    pub(crate) request: Request,
    held: Option<Held>,
}

enum Held {
    Call(HeldCall),
    Write(HeldWrite),
}

impl RequestInPhase {
    /// Ends what kept it in its phase.
    fn go_on(&mut self) {
        match self.held.take() {
            Some(Held::Call(call)) => call.release(),
            Some(Held::Write(write)) => write.release(),
            None => {}
        }
    }
}

/// An environment whose operator works behind a proxy.
pub(crate) struct PhaseEnv {
    pub(crate) env: TestEnv,
    proxy: Proxy,
}

impl PhaseEnv {
    pub(crate) async fn new() -> Self {
        let env = TestEnv::new().await;
        let proxy = Proxy::start(&env.control_plane).await.unwrap();
        Self { env, proxy }
    }

    /// Starts an operator with a worker for each request that is held.
    async fn operator(&self) -> Operator {
        self.env
            .start_behind(
                &self.proxy,
                Flags::fast_retries().with("--timeout", "5m").with("--concurrency", "100"),
            )
            .await
    }

    /// Creates a request of each kind in each of these phases, side by side.
    async fn set(&self, phases: &[Phase]) -> Vec<RequestInPhase> {
        let all = phases.iter().flat_map(|phase| {
            let name = format!("{phase:?}").to_lowercase();
            let rollback = a_rollback(&self.env.sandbox, &name);
            // A restore is claimed without a read.
            let restore = (*phase != Phase::Reading).then(|| a_restore(&self.env.sandbox, &name));
            [Some(rollback), restore].into_iter().flatten().map(|request| self.bring(*phase, request))
        });
        join_all(all).await
    }

    /// Creates a request of each kind in each phase, does `act` to each of them in that phase, and lets them continue.
    pub(crate) async fn acted(&self, act: impl AsyncFn(&RequestInPhase)) -> (Vec<RequestInPhase>, Operator) {
        let mut all = self.set(&[Phase::Unseen]).await;
        for it in &all {
            act(it).await;
        }
        let operator = self.operator().await;
        // A claim whose reply comes too late is released, so these must be quick.
        for phases in [&[Phase::Claimed] as &[_], &Phase::SEEN] {
            let mut seen = self.set(phases).await;
            for it in &seen {
                act(it).await;
            }
            seen.iter_mut().for_each(RequestInPhase::go_on);
            all.extend(seen);
        }
        (all, operator)
    }

    /// Returns the ends of a rollback and a restore that nobody acted on.
    pub(crate) async fn undisturbed(&self) -> [Object; 2] {
        let (env, sandbox) = (&self.env, &self.env.sandbox);
        let undisturbed = [a_rollback(sandbox, "twin"), a_restore(sandbox, "twin")];
        for twin in &undisturbed {
            twin.create(env).await;
        }
        [undisturbed[0].succeeds(env).await, undisturbed[1].succeeds(env).await]
    }

    async fn bring(&self, phase: Phase, request: Request) -> RequestInPhase {
        let held = match phase {
            Phase::Unseen => {
                request.create(&self.env).await;
                None
            }
            Phase::Reading => Some(self.hold_call(&request, Operation::Read, HoldPoint::BeforeEffect).await),
            Phase::Calling => {
                Some(self.hold_call(&request, Operation::Changing, HoldPoint::BeforeEffect).await)
            }
            Phase::Answering => {
                Some(self.hold_call(&request, Operation::Changing, HoldPoint::AfterEffect).await)
            }
            Phase::Claiming => Some(self.hold_write(&request, CLAIM, Point::BeforeForward).await),
            Phase::Claimed => Some(self.hold_write(&request, CLAIM, Point::BeforeReply).await),
            Phase::Recording => Some(self.hold_write(&request, OUTCOME, Point::BeforeForward).await),
            Phase::Recorded => Some(self.hold_write(&request, OUTCOME, Point::BeforeReply).await),
            Phase::Verifying => Some(self.hold_look(&request, on_call(500)).await),
            Phase::VerifyingEffect => Some(self.hold_look(&request, on_call(500).after_effect()).await),
            Phase::Waiting => {
                let locked = on_call(423).header("retry-after", "3600");
                self.reach(&request, Some(locked), "Retrying").await
            }
            Phase::Failed => self.reach(&request, Some(on_call(403)), "AccessDenied").await,
            Phase::Finished => self.reach(&request, None, request.success()).await,
        };
        RequestInPhase { phase, request, held }
    }

    async fn hold_call(&self, request: &Request, operation: Operation, point: HoldPoint) -> Held {
        let mut held = self.env.sandbox.hold(operation, request.id, point);
        request.create(&self.env).await;
        held.arrived_within(LIMIT).await.unwrap();
        Held::Call(held)
    }

    async fn hold_write(&self, request: &Request, number: usize, point: Point) -> Held {
        let held = self.proxy.hold(request.status_writes().skip(number), point);
        request.create(&self.env).await;
        held.seen().await.unwrap();
        Held::Write(held)
    }

    /// Holds the read that verifies a call which met this fault.
    async fn hold_look(&self, request: &Request, fault: Fault) -> Held {
        self.env.sandbox.inject(fault.connector(request.id));
        let Held::Call(call) = self.hold_call(request, Operation::Changing, HoldPoint::BeforeEffect).await
        else {
            unreachable!("only a call is held")
        };
        let mut look = self.env.sandbox.hold(Operation::Read, request.id, HoldPoint::BeforeEffect);
        call.release();
        look.arrived_within(LIMIT).await.unwrap();
        Held::Call(look)
    }

    async fn reach(&self, request: &Request, fault: Option<Fault>, reason: &str) -> Option<Held> {
        if let Some(fault) = fault {
            self.env.sandbox.inject(fault.connector(request.id));
        }
        request.create(&self.env).await;
        request.wait_for_reason(&self.env, reason).await;
        None
    }
}

/// Returns the end without the parts that differ if somebody requested a retry.
pub(crate) fn came_to(end: &Object) -> Value {
    let mut status = plain(end);
    status.as_object_mut().unwrap().remove("lastHandledRetry");
    status
}

fn on_call(code: u16) -> Fault {
    Fault::on(Operation::Changing).answer(code)
}

impl Request {
    /// Creates the object, without kubectl because there are many.
    pub(crate) async fn create(&self, env: &TestEnv) {
        let object: DynamicObject = serde_json::from_str(&self.manifest().yaml()).unwrap();
        env.objects(self.kind).create(&PostParams::default(), &object).await.unwrap();
    }

    /// Merges `change` into the object, if the API server accepts it.
    pub(crate) async fn merge(&self, env: &TestEnv, change: &Value) -> Result<Object, String> {
        let merged =
            env.objects(self.kind).patch(&self.name, &PatchParams::default(), &Patch::Merge(change)).await;
        merged.map(Object::from).map_err(|error| error.to_string())
    }

    /// Deletes the object.
    pub(crate) async fn delete(&self, env: &TestEnv) {
        env.objects(self.kind).delete(&self.name, &DeleteParams::default()).await.unwrap();
    }

    /// Requests a retry or the end of a wait, `seconds` from now, so that it is later than the earlier one.
    pub(crate) async fn ask_again(&self, env: &TestEnv, seconds: i64) {
        let asked = json!({"metadata": {"annotations": {"cde.productsup.com/retry": from_now(seconds)}}});
        self.merge(env, &asked).await.unwrap();
    }

    /// Returns a connector with which it succeeds, as if nothing had happened.
    pub(crate) fn renew_connector(&self, sandbox: &Sandbox) {
        let in_bin = self.kind == Kind::Restore;
        sandbox.put(Connector { in_bin, ..Connector::migrated(self.id) });
    }
}
