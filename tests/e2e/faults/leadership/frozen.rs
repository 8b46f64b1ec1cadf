//! A replica that is frozen (not killed) past its claim and its Lease, and resumed.

use std::collections::HashSet;

use cde_sandbox::cde::{Held, HoldPoint, Operation};
use cde_sandbox::process::Signal;
use cde_sandbox::proxy::{Point, Proxy};
use futures::future::join_all;

use super::{BOTH, Mode};
use crate::faults::request::{Request, apply, both, end_as_without_fault};
use cde_harness::{Operator, TestEnv};

/// Fault 37: the reply to the claim arrives long after another replica has taken over.
#[tokio::test]
async fn a_replica_frozen_between_its_claim_and_its_call_sends_nothing_when_resumed() {
    join_all(BOTH.map(async |mode| {
        let env = TestEnv::new().await;
        let proxy = Proxy::start(&env.control_plane).await.unwrap();
        let requests = both(&env.sandbox, "frozen");
        let claims =
            requests.each_ref().map(|request| proxy.hold(request.status_writes(), Point::BeforeReply));
        let mut frozen = env.start_behind(&proxy, mode.replica("frozen")).await;
        apply(&env, &requests).await;
        for claim in &claims {
            claim.seen().await.unwrap();
        }
        frozen.process.freeze().unwrap();
        for claim in claims {
            claim.release();
        }

        let mut other = env.start(mode.replica("other")).await;
        for request in &requests {
            request.succeeds(&env).await;
        }
        resume(mode, &env, &mut frozen, &mut other).await;

        for request in &requests {
            let id = request.calls(&env.sandbox).remove(0).request_id.unwrap();
            assert!(id.ends_with("-2"), "the first attempt sent nothing: {id}");
        }
        end_as_without_fault(&env, &requests, 1, false).await;
    }))
    .await;
}

/// Fault 37: its calls are under way. For each kind the CDE API carries out one of two calls.
#[tokio::test]
async fn a_replica_frozen_during_its_call_changes_nothing_when_resumed() {
    join_all(BOTH.map(async |mode| {
        let env = TestEnv::new().await;
        let (done, lost) = (both(&env.sandbox, "done"), both(&env.sandbox, "lost"));
        let hold = |requests: &[Request; 2], point| {
            requests.each_ref().map(|request| env.sandbox.hold(Operation::Changing, request.id, point))
        };
        let mut answers = hold(&done, HoldPoint::AfterEffect);
        let mut calls = hold(&lost, HoldPoint::BeforeEffect);
        let mut frozen = env.start(mode.replica("frozen").with("--timeout", "5s")).await;
        apply(&env, &[done.as_slice(), &lost].concat()).await;
        for held in answers.iter_mut().chain(&mut calls) {
            held.arrived().await.unwrap();
        }
        frozen.process.freeze().unwrap();

        let mut other = env.start(mode.replica("other")).await;
        for request in done.iter().chain(&lost) {
            request.succeeds(&env).await;
        }
        answers.into_iter().for_each(Held::release);
        calls.into_iter().for_each(Held::cut);
        resume(mode, &env, &mut frozen, &mut other).await;

        end_as_without_fault(&env, &done, 1, true).await;
        end_as_without_fault(&env, &lost, 2, false).await;
        for request in &lost {
            let keys = request.calls(&env.sandbox).into_iter().map(|call| call.idempotency_key);
            assert_eq!(keys.collect::<HashSet<_>>().len(), 1, "both calls belong to one request");
        }
    }))
    .await;
}

/// Resumes the replica and waits until it has done what it was about to do: it has ended, where it lost the Lease, or
/// it works again, and alone.
async fn resume(mode: Mode, env: &TestEnv, frozen: &mut Operator, other: &mut Operator) {
    frozen.process.signal(Signal::CONT).unwrap();
    match mode {
        Mode::Elected => {
            assert_eq!(frozen.exit_code().await, Some(1), "{}", frozen.log());
            assert!(frozen.log().contains("the Lease is lost"), "{}", frozen.log());
        }
        Mode::Alone => {
            other.kill();
            env.settle().await;
        }
    }
}
