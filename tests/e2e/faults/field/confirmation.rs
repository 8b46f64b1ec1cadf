//! A lasting refusal of a read with an undocumented message is confirmed, and is then treated as a documented one.

use cde_sandbox::cde::{Fault, Operation};
use jiff::SignedDuration;
use serde_json::json;

use super::gateway::says;
use crate::faults::request::{Request, apply, both};
use cde_harness::{Flags, Kind, TestEnv};

/// Refuses all reads of the request's connector after the first `spared`.
fn refuse_reads(env: &TestEnv, request: &Request, spared: u32) {
    let refusal = says(Operation::Read, 403, "Forbidden").connector(request.id);
    env.sandbox.inject(refusal.skip(spared).always());
}

/// Checks for at least three refusals, the last at least a second after the first. Two seconds are a fifth of
/// `--retry-max`, and stored times have whole seconds.
fn was_confirmed(env: &TestEnv, request: &Request, spared: usize) {
    let reads = env.sandbox.calls(Operation::Read, request.id).split_off(spared);
    assert!(reads.len() >= 3, "{} refused reads\n{}", reads.len(), env.sandbox.ledger());
    let lasted = reads.last().unwrap().at.duration_since(reads[0].at);
    assert!(lasted >= SignedDuration::from_secs(1), "confirmed after {lasted}");
}

fn flags() -> Flags {
    Flags::fast_retries().with("--retry-max", "10s")
}

/// Fault 43: the token may really not be allowed to read.
#[tokio::test]
async fn a_rollback_skips_a_lastingly_refused_read_or_fails_its_preconditions() {
    let env = TestEnv::new().await;
    let _operator = env.start(flags()).await;
    let [plain, guarded] = ["plain", "guarded"].map(|name| {
        let [request, _] = both(&env.sandbox, name);
        refuse_reads(&env, &request, 0);
        request
    });
    let condition = json!({"executables": {"production": 25}});
    env.apply_all([plain.manifest(), guarded.manifest().spec("preconditions", condition)]).await;

    plain.succeeds(&env).await;
    guarded.wait_for_reason(&env, "PreconditionFailed").await;

    let calls = plain.calls(&env.sandbox);
    assert_eq!(
        (calls.len(), calls[0].version.as_deref()),
        (1, Some("main")),
        "the version as in the manifest"
    );
    assert_eq!(guarded.calls(&env.sandbox).len(), 0);
    for request in [&plain, &guarded] {
        was_confirmed(&env, request, 0);
    }
}

/// Fault 43: no read can show whether the lost call had an effect.
#[tokio::test]
async fn a_lasting_refusal_of_verification_reads_ends_a_rollback_and_repeats_a_restore() {
    let env = TestEnv::new().await;
    let _operator = env.start(flags()).await;
    let requests = both(&env.sandbox, "lost");
    for request in &requests {
        env.sandbox.inject(Fault::on(Operation::Changing).connector(request.id).answer(500));
        refuse_reads(&env, request, u32::from(request.kind == Kind::Rollback));
    }
    apply(&env, &requests).await;

    let [rollback, restore] = &requests;
    rollback.wait_for_reason(&env, "OutcomeUnknown").await;
    restore.succeeds(&env).await;

    was_confirmed(&env, rollback, 1);
    was_confirmed(&env, restore, 0);
    assert_eq!((rollback.calls(&env.sandbox).len(), restore.calls(&env.sandbox).len()), (1, 2));
}
