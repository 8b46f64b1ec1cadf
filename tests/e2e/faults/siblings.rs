//! Several requests for one connector, where the first call goes wrong: the requests keep their order, each has at
//! most one effect, and none waits forever.

use cde_sandbox::cde::{Call, Connector, Held, HoldPoint, Operation, new_id};
use futures::future::join_all;
use uuid::Uuid;

use crate::faults::request::Request;
use cde_harness::{Flags, Kind, Object, TestEnv};

/// Requests for one connector, in the order of the queue.
struct Siblings {
    id: Uuid,
    requests: Vec<Request>,
    /// Whether the call of the first request has its effect before it is lost.
    effect_first: bool,
}

impl Siblings {
    /// Returns groups of two and three requests of one kind, and of both kinds, in which the restore goes first.
    fn groups(env: &TestEnv, effect_first: bool) -> Vec<Self> {
        use Kind::{Restore, Rollback};
        let kinds: [&[Kind]; 3] =
            [&[Rollback, Rollback], &[Restore, Restore], &[Restore, Rollback, Rollback]];
        let group = |(number, kinds): (usize, &&[Kind])| {
            let id = new_id();
            env.sandbox.put(Connector { in_bin: kinds[0] == Restore, ..Connector::migrated(id) });
            let request = |(turn, kind): (usize, &Kind)| Request {
                kind: *kind,
                name: format!("g{number}-{turn}-{effect_first}"),
                id,
            };
            Self { id, requests: kinds.iter().enumerate().map(request).collect(), effect_first }
        };
        kinds.iter().enumerate().map(group).collect()
    }

    /// Creates the first request, and holds its call.
    async fn begin(&self, env: &TestEnv) -> Held {
        let point = if self.effect_first { HoldPoint::AfterEffect } else { HoldPoint::BeforeEffect };
        let mut held = env.sandbox.hold(Operation::Changing, self.id, point);
        self.requests[0].create(env).await;
        held.arrived().await.unwrap();
        held
    }

    /// Creates the other requests.
    async fn line_up(&self, env: &TestEnv) {
        for other in &self.requests[1..] {
            other.create(env).await;
        }
    }

    /// Checks that the others say which request they wait for, and have called nothing.
    async fn wait_for_the_first(&self, env: &TestEnv) {
        for other in &self.requests[1..] {
            let waiting = other.wait_for_reason(env, "Queued").await;
            let whom = format!("{}/{},", env.namespace, self.requests[0].name);
            assert!(waiting.message().contains(&whom), "{waiting:#?}");
        }
        assert_eq!(env.sandbox.calls(Operation::Changing, self.id).len(), 1);
    }

    /// Checks that all have ended one after the other.
    async fn have_ended(&self, env: &TestEnv) {
        let mut ends = Vec::new();
        for (turn, request) in self.requests.iter().enumerate() {
            let second_restore = turn > 0 && request.kind == Kind::Restore;
            let reason = if second_restore { "AlreadyRestored" } else { request.success() };
            ends.push(request.wait_for_reason(env, reason).await);
        }
        // Within one kind the oldest goes first, and within one second the smallest UID.
        let born = |end: &Object| ["creationTimestamp", "uid"].map(|field| end.metadata()[field].to_string());
        ends[1..].sort_by_key(born);
        let ledger = env.sandbox.ledger();
        let of = |end: &Object| -> Vec<Call> {
            let id = end.operation()["id"].as_str().unwrap();
            let about = ledger.calls().iter().filter(|call| call.connector == Some(self.id));
            about
                .filter(|call| call.request_id.as_ref().is_some_and(|it| it.starts_with(id)))
                .cloned()
                .collect()
        };
        let calls: Vec<Vec<Call>> = ends.iter().map(of).collect();
        for (turn, end) in ends.iter().enumerate() {
            let changing: Vec<&Call> = calls[turn].iter().filter(|call| call.method != "GET").collect();
            let expected = if turn == 0 && !self.effect_first { 2 } else { 1 };
            assert_eq!(changing.len(), expected, "calls of {end:#?}\n{ledger}");
            let effects = changing.iter().filter(|call| call.effect).count();
            assert_eq!(
                effects,
                usize::from(end.reason() != "AlreadyRestored"),
                "effects of {end:#?}\n{ledger}"
            );
        }
        let begun: Vec<u64> = calls.iter().map(|calls| claimed(calls)[0].sequence).collect();
        let over: Vec<u64> = calls.iter().map(|calls| calls.last().unwrap().sequence).collect();
        for turn in 1..begun.len() {
            assert!(
                over[turn - 1] < begun[turn],
                "request {turn} began before the previous one was over\n{ledger}"
            );
        }
        let looked = claimed(&calls[0]).iter().any(|call| call.method == "GET");
        assert!(looked, "no read verified the first call\n{ledger}");
    }
}

/// Returns the calls from the first changing one on.
fn claimed(calls: &[Call]) -> &[Call] {
    let first = calls.iter().position(|call| call.method != "GET").unwrap();
    &calls[first..]
}

/// Returns all groups, with the first call of each held before and after its effect.
async fn begun(env: &TestEnv) -> (Vec<Siblings>, Vec<Held>) {
    let groups: Vec<Siblings> =
        [false, true].into_iter().flat_map(|effect_first| Siblings::groups(env, effect_first)).collect();
    let held = join_all(groups.iter().map(|group| group.begin(env))).await;
    (groups, held)
}

async fn keep_their_order(env: &TestEnv, groups: &[Siblings]) {
    for group in groups {
        group.have_ended(env).await;
    }
}

/// Fault 34, with fault 4.
#[tokio::test]
async fn a_crash_during_a_call_keeps_the_order_of_the_requests_for_a_connector() {
    let env = TestEnv::new().await;
    let flags = |pod| Flags::fast_retries().with("--timeout", "5s").env("POD_NAME", pod);
    let mut first = env.start(flags("first")).await;
    let (groups, held) = begun(&env).await;
    first.kill();
    held.into_iter().for_each(Held::cut);
    for group in &groups {
        group.line_up(&env).await;
    }

    let _second = env.start(flags("second")).await;

    for group in &groups {
        group.wait_for_the_first(&env).await;
    }
    keep_their_order(&env, &groups).await;
}

/// Fault 34, with faults 23 and 24.
#[tokio::test]
async fn a_lost_response_keeps_the_order_of_the_requests_for_a_connector() {
    let env = TestEnv::new().await;
    let _operator = env.start(Flags::fast_retries().with("--timeout", "5s")).await;
    let (groups, held) = begun(&env).await;
    for group in &groups {
        group.line_up(&env).await;
    }
    held.into_iter().for_each(Held::cut);
    for group in &groups {
        group.wait_for_the_first(&env).await;
    }
    keep_their_order(&env, &groups).await;
}

/// Faults 34 and 39: deleting a request does not end its call.
#[tokio::test]
async fn the_next_request_for_a_connector_waits_for_the_call_of_a_deleted_one() {
    let env = TestEnv::new().await;
    let _operator = env.start(Flags::fast_retries()).await;
    let (groups, held) = begun(&env).await;
    for group in &groups {
        group.line_up(&env).await;
        group.wait_for_the_first(&env).await;
        group.requests[0].delete(&env).await;
    }

    env.settle().await;

    for group in &groups {
        let calls = env.sandbox.calls(Operation::Changing, group.id);
        assert_eq!(calls.len(), 1, "the next request began during the call\n{}", env.sandbox.ledger());
    }
    held.into_iter().for_each(Held::release);
    for other in groups.iter().flat_map(|group| &group.requests[1..]) {
        let reason = if other.kind == Kind::Restore { "AlreadyRestored" } else { other.success() };
        other.wait_for_reason(&env, reason).await;
    }
}
