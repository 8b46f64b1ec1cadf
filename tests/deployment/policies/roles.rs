//! Nobody can grant the permission to create requests without having it.

use std::time::Instant;

use crate::policies::governed::{governed, person};
use cde_harness::{LIMIT, POLL};

#[tokio::test]
async fn the_requester_role_can_only_be_bound_by_users_who_have_its_permissions() {
    let env = governed("*").await;
    let binder = ["create", "role", "binder", "--verb=create", "--resource=rolebindings"];
    env.kubectl(&binder, "").await;
    let user = format!("--as=binder-of-{}", env.namespace);
    let to_user = format!("--user=binder-of-{}", env.namespace);
    env.kubectl(&["create", "rolebinding", "binder", "--role=binder", &to_user], "").await;
    let begun = Instant::now();
    while env.try_kubectl(&[&user, "auth", "can-i", "create", "rolebindings"], "").await.is_err() {
        assert!(begun.elapsed() < LIMIT, "the binding is not in force");
        tokio::time::sleep(POLL).await;
    }
    let give =
        [&user, "create", "rolebinding", "gift", "--clusterrole=cde-operator-requester", "--user=friend"];

    let refusal = env.try_kubectl(&give, "").await.expect_err("it is rejected");
    assert!(refusal.contains("attempting to grant RBAC permissions not currently held"), "{refusal}");

    person(&env, "binder", "cde-operator-requester").await;
    env.kubectl(&give, "").await;
}
