//! A person acts on a request in each of its phases: what is claimed is called and told, what is not is not.

use serde_json::json;

use crate::faults::phase::{Phase, Stage, Staged, came_to};
use cde_harness::Kind;

/// What a request comes to that was suspended in this phase.
fn when_suspended(staged: &Staged) -> &'static str {
    match staged.phase {
        Phase::Unseen | Phase::Reading | Phase::Claiming | Phase::Waiting | Phase::Verifying => "Suspended",
        Phase::Failed => "AccessDenied",
        _ => staged.request.success(),
    }
}

/// Fault 39.
#[tokio::test]
async fn a_request_suspended_in_any_phase_begins_no_call_and_resumed_ends_as_if_nothing_had_been() {
    let stage = Stage::new().await;
    let (env, sandbox) = (&stage.env, &stage.env.sandbox);
    let suspend = async |staged: &Staged, suspend: bool| {
        staged.request.merge(env, &json!({"spec": {"suspend": suspend}})).await.unwrap();
    };
    let (all, _operator) = stage.acted(async |staged| suspend(staged, true).await).await;
    for staged in &all {
        staged.request.wait_for_reason(env, when_suspended(staged)).await;
    }
    env.settle().await;
    for staged in &all {
        let (phase, request) = (staged.phase, &staged.request);
        assert_eq!(request.get(env).await.reason(), when_suspended(staged), "{phase:?}");
        assert_eq!(request.calls(sandbox).len(), phase.calls(), "{phase:?} of {}", request.plural());
        suspend(staged, false).await;
        if phase == Phase::Waiting {
            request.ask_again(env, 0).await;
        }
    }

    let [rollback, restore] = stage.twins().await;
    for Staged { phase, request, .. } in &all {
        let asleep_after_a_call = matches!(phase, Phase::Waiting | Phase::Verifying);
        if *phase == Phase::Failed {
            assert_eq!(request.get(env).await.reason(), "AccessDenied", "only who asks opens it again");
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
async fn a_request_deleted_in_any_phase_begins_no_call_and_another_one_of_its_name_lives_a_life_of_its_own() {
    let stage = Stage::new().await;
    let (env, sandbox) = (&stage.env, &stage.env.sandbox);
    let (all, _operator) = stage.acted(async |staged| staged.request.delete(env).await).await;
    env.settle().await;
    for Staged { phase, request, .. } in &all {
        assert_eq!(request.calls(sandbox).len(), phase.calls(), "{phase:?} of {}", request.plural());
        assert_eq!(sandbox.effects(request.id), phase.effects(), "{phase:?} of {}", request.plural());
        request.renew_connector(sandbox);
        request.create(env).await;
    }

    let [rollback, restore] = stage.twins().await;
    for Staged { phase, request, .. } in &all {
        let end = request.succeeds(env).await;
        let twin = if request.kind == Kind::Rollback { &rollback } else { &restore };
        assert_eq!(came_to(&end), came_to(twin), "{phase:?}");
        assert_eq!(end.attempts(), 1, "{phase:?}");
        assert_eq!(request.calls(sandbox).len(), phase.calls() + 1, "{phase:?} of {}", request.plural());
        assert_eq!(sandbox.effects(request.id), phase.effects() + 1, "{phase:?} of {}", request.plural());
    }
}
