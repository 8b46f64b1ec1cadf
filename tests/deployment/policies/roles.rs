//! Nobody gives away the right to create requests who does not have it.

use std::time::Instant;

use crate::policies::governed::{governed, person};
use cde_harness::{LIMIT, POLL};

#[tokio::test]
async fn who_may_bind_roles_can_bind_the_one_that_creates_requests_only_if_they_have_it_themselves() {
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

    let refusal = env.try_kubectl(&give, "").await.expect_err("it is refused");
    assert!(refusal.contains("attempting to grant RBAC permissions not currently held"), "{refusal}");

    person(&env, "binder", "cde-operator-requester").await;
    env.kubectl(&give, "").await;
}
