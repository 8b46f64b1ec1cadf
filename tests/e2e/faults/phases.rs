//! A person acts on a request in each of its phases: a claimed request is called and recorded, an unclaimed one is
//! not.

use serde_json::json;

use crate::faults::phase::{Phase, PhaseEnv, RequestInPhase, came_to};
use cde_harness::Kind;

/// Returns the reason of a request that was suspended in this phase.
fn when_suspended(it: &RequestInPhase) -> &'static str {
    match it.phase {
        Phase::Unseen | Phase::Reading | Phase::Claiming | Phase::Waiting | Phase::Verifying => "Suspended",
        Phase::Failed => "AccessDenied",
        _ => it.request.success(),
    }
}

/// Fault 39.
#[tokio::test]
async fn a_request_suspended_in_any_phase_begins_no_call_until_it_is_resumed() {
    let phases = PhaseEnv::new().await;
    let (env, sandbox) = (&phases.env, &phases.env.sandbox);
    let suspend = async |it: &RequestInPhase, suspend: bool| {
        it.request.merge(env, &json!({"spec": {"suspend": suspend}})).await.unwrap();
    };
    let (all, _operator) = phases.acted(async |it| suspend(it, true).await).await;
    for it in &all {
        it.request.wait_for_reason(env, when_suspended(it)).await;
    }
    env.settle().await;
    for it in &all {
        let (phase, request) = (it.phase, &it.request);
        assert_eq!(request.get(env).await.reason(), when_suspended(it), "{phase:?}");
        assert_eq!(request.calls(sandbox).len(), phase.calls(), "{phase:?} of {}", request.plural());
        suspend(it, false).await;
        if phase == Phase::Waiting {
            request.ask_again(env, 0).await;
        }
    }

    let [rollback, restore] = phases.undisturbed().await;
    for RequestInPhase { phase, request, .. } in &all {
        let asleep_after_a_call = matches!(phase, Phase::Waiting | Phase::Verifying);
        if *phase == Phase::Failed {
            assert_eq!(request.get(env).await.reason(), "AccessDenied", "only a retry opens it again");
        } else {
            let end = request.succeeds(env).await;
            let twin = if request.kind == Kind::Rollback { &rollback } else { &restore };
            assert_eq!(came_to(&end), came_to(twin), "{phase:?}");
            assert_eq!(sandbox.effects(request.id), 1, "{phase:?} of {}", request.plural());
        }
        let calls = if asleep_after_a_call { 2 } else { 1 };
        assert_eq!(request.calls(sandbox).len(), calls, "{phase:?} of {}", request.plural());
    }
}

/// Faults 39 and 12.
#[tokio::test]
async fn a_request_deleted_in_any_phase_begins_no_call_and_its_name_can_be_used_again() {
    let phases = PhaseEnv::new().await;
    let (env, sandbox) = (&phases.env, &phases.env.sandbox);
    let (all, _operator) = phases.acted(async |it| it.request.delete(env).await).await;
    env.settle().await;
    for RequestInPhase { phase, request, .. } in &all {
        assert_eq!(request.calls(sandbox).len(), phase.calls(), "{phase:?} of {}", request.plural());
        assert_eq!(sandbox.effects(request.id), phase.effects(), "{phase:?} of {}", request.plural());
        request.renew_connector(sandbox);
        request.create(env).await;
    }

    let [rollback, restore] = phases.undisturbed().await;
    for RequestInPhase { phase, request, .. } in &all {
        let end = request.succeeds(env).await;
        let twin = if request.kind == Kind::Rollback { &rollback } else { &restore };
        assert_eq!(came_to(&end), came_to(twin), "{phase:?}");
        assert_eq!(end.attempts(), 1, "{phase:?}");
        assert_eq!(request.calls(sandbox).len(), phase.calls() + 1, "{phase:?} of {}", request.plural());
        assert_eq!(sandbox.effects(request.id), phase.effects() + 1, "{phase:?} of {}", request.plural());
    }
}
