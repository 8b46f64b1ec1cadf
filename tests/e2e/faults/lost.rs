//! Responses that are lost on their way, with and without an effect of the operation.

use cde_sandbox::cde::{CutPoint, Fault, Operation};

use crate::faults::request::{Request, apply, both, end_as_without_fault};
use cde_harness::TestEnv;

/// Returns the ways to lose a response.
fn losses() -> [(&'static str, Fault); 8] {
    let on = || Fault::on(Operation::Changing);
    [
        ("cut", on().cut(CutPoint::BeforeHeaders)),
        ("cut-after-headers", on().cut(CutPoint::AfterHeaders)),
        ("cut-within-body", on().cut(CutPoint::WithinBody)),
        ("silence", on().hang()),
        ("gateway", on().answer(504).html()),
        ("failure", on().answer(500)),
        ("failure-cut", on().answer(503).cut(CutPoint::WithinBody)),
        ("gateway-cut", on().answer(502).cut(CutPoint::AfterHeaders)),
    ]
}

async fn all(env: &TestEnv, after_effect: bool) -> Vec<Request> {
    let mut all = Vec::new();
    // A status line with 200 is never sent without the effect.
    for (name, fault) in losses().into_iter().filter(|(name, _)| after_effect || !name.starts_with("cut-")) {
        for request in both(&env.sandbox, name) {
            let fault = if after_effect { fault.clone().after_effect() } else { fault.clone() };
            env.sandbox.inject(fault.connector(request.id));
            all.push(request);
        }
    }
    apply(env, &all).await;
    all
}

/// Faults 23 and 24.
#[tokio::test]
async fn an_effect_with_a_lost_response_is_found_and_nothing_is_called_again() {
    let (env, _operator) = TestEnv::with_operator().await;
    let requests = all(&env, true).await;
    end_as_without_fault(&env, &requests, 1, true).await;
}

/// Faults 23 and 24.
#[tokio::test]
async fn a_lost_response_without_effect_is_verified_before_the_second_call() {
    let (env, _operator) = TestEnv::with_operator().await;
    let requests = all(&env, false).await;
    end_as_without_fault(&env, &requests, 2, false).await;
    for request in &requests {
        let calls = request.calls(&env.sandbox);
        let looked = env
            .sandbox
            .calls(Operation::Read, request.id)
            .iter()
            .any(|read| (calls[0].sequence..calls[1].sequence).contains(&read.sequence));
        assert!(looked, "no read before the second call for {}", request.name);
    }
}
