//! Policies apply to people and tools. The operator works under all of them as it does without.

use cde_sandbox::cde::{Fault, Operation};
use serde_json::json;

use crate::policies::governed::{governed, person};
use cde_harness::{Flags, Kind, Request, from_now};

#[tokio::test]
async fn requests_can_be_carried_out_and_retried_under_all_policies() {
    let env = governed("*").await;
    let label = ["label", "namespace", &env.namespace, "cde.productsup.com/environment=production"];
    env.control_plane.kubectl_ok(&label, "").await.unwrap();
    let on_call = person(&env, "on-call", "cde-operator-on-call").await;
    let _operator = env.start(Flags::fast_retries()).await;
    for kind in [Kind::Restore, Kind::Rollback] {
        let done = Request::new(kind, "done");
        env.sandbox.put(done.ready_connector());
        let failed = env.request(kind, "failed", Fault::on(Operation::Changing).answer(403));
        for request in [&done, &failed] {
            let manifest = request.manifest();
            env.apply(&match kind {
                Kind::Restore => manifest,
                Kind::Rollback => manifest.spec("preconditions", json!({"executables": {"production": 25}})),
            })
            .await;
        }
        env.wait_for(&done, done.success()).await;
        env.wait_for(&failed, "AccessDenied").await;

        let retry = format!("cde.productsup.com/retry={}", from_now(0));
        env.kubectl(&[&on_call, "annotate", kind.short(), &failed.name, &retry], "").await;

        env.wait_for(&failed, failed.success()).await;
    }
}
