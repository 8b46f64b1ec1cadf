//! Policies are for people and tools: the operator works under all of them as it does without.

use cde_sandbox::cde::{Fault, Operation};
use serde_json::json;

use crate::governed::{governed, person};
use crate::world::{Flags, Kind, Request, from_now};

#[tokio::test]
async fn requests_are_carried_out_and_opened_again_under_all_policies() {
    let world = governed("*").await;
    let label = ["label", "namespace", &world.namespace, "cde.productsup.com/environment=production"];
    world.plane.kubectl_ok(&label, "").await.unwrap();
    let on_call = person(&world, "on-call", "cde-operator-retrier").await;
    let _operator = world.start(Flags::brisk()).await;
    for kind in [Kind::Restore, Kind::Rollback] {
        let done = Request::new(kind, "done");
        world.sandbox.put(done.willing());
        let failed = world.request(kind, "failed", Fault::on(Operation::Changing).answer(422));
        for request in [&done, &failed] {
            let manifest = request.manifest();
            world
                .apply(&match kind {
                    Kind::Restore => manifest,
                    Kind::Rollback => {
                        manifest.spec("preconditions", json!({"executables": {"production": 25}}))
                    }
                })
                .await;
        }
        world.comes_to(&done, done.success()).await;
        world.comes_to(&failed, "Rejected").await;

        let retry = format!("cde.productsup.com/retry={}", from_now(0));
        world.kubectl(&[&on_call, "annotate", kind.short(), &failed.name, &retry], "").await;

        world.comes_to(&failed, failed.success()).await;
    }
}
