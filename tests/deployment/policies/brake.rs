//! The emergency brake, on a control plane of its own: it stops every operator.

use cde_harness::{ControlPlane, Flags, Kind, Request, TestEnv};
use cde_sandbox::cde::{Fault, HoldPoint, Operation};

use crate::deploy::fixture::eventually;
use crate::tools::tools;

const CLAIM: &str = r#"{"status": {"operation": {"inFlight":
    {"holder": "probe", "attempt": 1, "until": "2026-01-01T00:00:00Z"}}}}"#;

async fn brake(env: &TestEnv, verb: &str) {
    let brake = format!("{}/deploy/policies/brake", env!("CARGO_MANIFEST_DIR"));
    env.control_plane.kubectl_ok(&[verb, "-k", &brake], "").await.unwrap();
}

/// Whether the API server refuses a claim of this request because of the brake.
async fn refuses(env: &TestEnv, request: &Request) -> bool {
    let patch = ["patch", request.kind.short(), &request.name, "--subresource=status", "--dry-run=server"];
    let told = env.try_kubectl(&[&patch[..], &["--type=merge", "-p", CLAIM]].concat(), "").await;
    told.is_err_and(|refusal| refusal.contains("cde-brake"))
}

#[tokio::test]
async fn the_brake_lets_a_call_in_progress_be_recorded_and_none_begin_until_it_is_deleted() {
    tools().await;
    let env = TestEnv::on(ControlPlane::own().await).await;
    env.control_plane.apply_crds().await;
    let _operator = env.start(Flags::fast_retries()).await;
    let under_way = env.request(Kind::Rollback, "under-way", Fault::default());
    let mut held = env.sandbox.hold(Operation::Rollback, under_way.id, HoldPoint::BeforeEffect);
    env.apply(&under_way.manifest()).await;
    held.arrived().await.unwrap();

    brake(&env, "apply").await;
    eventually("the brake is enforced", async || refuses(&env, &under_way).await).await;
    let later = env.request(Kind::Restore, "later", Fault::default());
    env.apply(&later.manifest()).await;
    held.release();

    env.wait_for(&under_way, "RolledBack").await;
    let refused = |env: &TestEnv| env.operator_writes(&later.name).iter().any(|write| write.code == 422);
    eventually("a refused claim", async || refused(&env)).await;
    assert_eq!(env.attempts(&later).len(), 0);

    brake(&env, "delete").await;

    env.wait_for(&later, "Restored").await;
    assert_eq!(env.attempts(&later).len(), 1);
}
