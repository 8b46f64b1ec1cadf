//! The policy against hooks, on a control plane of its own: it would refuse what others only warn about.

use cde_harness::{ControlPlane, TestEnv, restore, rollback};
use cde_sandbox::cde::new_id;

use crate::policies::governed::until;
use crate::tools::tools;

const HOOKS: [&str; 2] = ["argocd.argoproj.io/hook", "helm.sh/hook"];

#[tokio::test]
async fn a_hook_of_either_tool_is_refused_and_one_from_before_can_still_be_changed_and_deleted() {
    tools().await;
    let env = TestEnv::on(ControlPlane::own().await).await;
    env.control_plane.apply_crds().await;
    let before = restore("before", new_id()).annotation(HOOKS[0], "PreSync");
    env.apply(&before).await;
    let policy = format!("{}/deploy/policies/no-hooks", env!("CARGO_MANIFEST_DIR"));
    env.control_plane.kubectl_ok(&["apply", "--validate=strict", "-k", &policy], "").await.unwrap();
    for hook in HOOKS {
        let refused = Some("each time is a new request that calls the CDE again. Remove the annotation");
        until(&env, &[], &restore("hook", new_id()).annotation(hook, "x"), refused).await;
        until(&env, &[], &rollback("hook", new_id(), "main").annotation(hook, "x"), refused).await;
    }
    until(&env, &[], &restore("other", new_id()).annotation("example.com/hook", "x"), None).await;
    let suspend = ["patch", "crst", "before", "--type=merge", "-p", r#"{"spec": {"suspend": true}}"#];
    env.kubectl(&suspend, "").await;
    env.kubectl(&["delete", "crst", "before", "--cascade=foreground", "--wait=false"], "").await;
}
