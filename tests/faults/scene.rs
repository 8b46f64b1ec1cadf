//! A scene for crashes: a proxy before the API server, and a request of each kind.

use cde_sandbox::cde::{Held as HeldCall, HoldPoint, Operation};
use cde_sandbox::proxy::{Held, Point, Proxy};

use crate::request::{Request, apply, both, end_as_without_fault};
use crate::world::{Flags, Operator, World};

/// Which of the status writes of a request without trouble.
pub(crate) const CLAIM: usize = 0;
pub(crate) const OUTCOME: usize = 1;

/// A world with a proxy before its API server, and a request of each kind that is not applied yet.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) proxy: Proxy,
    pub(crate) requests: [Request; 2],
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let world = World::new().await;
        let proxy = Proxy::start(&world.plane).await.unwrap();
        let requests = both(&world.sandbox, "struck");
        Self { world, proxy, requests }
    }

    /// An operator in a pod of this name; a claim of its lasts six seconds.
    pub(crate) async fn operator(&self, pod: &str) -> Operator {
        self.operator_with(pod, "1s").await
    }

    pub(crate) async fn operator_with(&self, pod: &str, timeout: &str) -> Operator {
        let flags =
            Flags::default().with("--timeout", timeout).with("--retry-max", "1s").env("POD_NAME", pod);
        self.world.start_behind(&self.proxy, flags).await
    }

    pub(crate) async fn apply(&self) {
        apply(&self.world, &self.requests).await;
    }

    /// Kills a first operator when it has sent that status write of both requests, and it is at `point`.
    pub(crate) async fn dies_in_write(&self, write: usize, point: Point) -> [Held; 2] {
        let held = self
            .requests
            .each_ref()
            .map(|request| self.proxy.hold(request.status_writes().skip(write), point));
        let mut first = self.operator("first").await;
        self.apply().await;
        for held in &held {
            held.seen().await.unwrap();
        }
        first.kill();
        held
    }

    /// Kills a first operator when its changing call for both requests is at `point`.
    pub(crate) async fn dies_in_call(&self, point: HoldPoint, timeout: &str) -> [HeldCall; 2] {
        let mut held = self.hold_calls(point);
        let mut first = self.operator_with("first", timeout).await;
        self.apply().await;
        for held in &mut held {
            held.arrived().await.unwrap();
        }
        first.kill();
        held
    }

    pub(crate) fn hold_calls(&self, point: HoldPoint) -> [HeldCall; 2] {
        self.requests
            .each_ref()
            .map(|request| self.world.sandbox.hold(Operation::Changing, request.id, point))
    }

    /// The requests ended as without fault, with so many calls each; the success was answered.
    pub(crate) async fn ends_after(&self, calls: usize) {
        end_as_without_fault(&self.world, &self.requests, calls, false).await;
    }

    /// The same, but the answer was lost, and the effect was seen.
    pub(crate) async fn is_observed_after(&self, calls: usize) {
        end_as_without_fault(&self.world, &self.requests, calls, true).await;
    }

    pub(crate) fn conflicts(&self) -> usize {
        self.proxy.ledger().iter().filter(|exchange| exchange.status == Some(409)).count()
    }
}
