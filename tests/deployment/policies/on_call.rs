//! Who may create requests, and who may only retry them.

use serde_json::json;

use crate::policies::governed::{governed, person};
use cde_harness::{Kind, Request};

const BOTH: [Kind; 2] = [Kind::Restore, Kind::Rollback];
const RETRY: &str = "cde.productsup.com/retry=2026-11-23T12:00:00Z";

#[tokio::test]
async fn users_who_may_not_create_may_only_retry_and_confirm() {
    let env = governed("*").await;
    let on_call = person(&env, "on-call", "cde-operator-on-call").await;
    for kind in BOTH {
        let request = Request::new(kind, "it");
        let manifest = request.manifest().annotation("example.com/note", "kept").label("team", "a");
        env.apply(&manifest.spec("suspend", true)).await;
        let (short, name) = (kind.short(), request.name.as_str());

        for annotation in [RETRY, "cde.productsup.com/confirm=id:Failed"] {
            env.kubectl(&[&on_call, "annotate", short, name, annotation], "").await;
        }
        let removed = ["cde.productsup.com/retry-", "cde.productsup.com/confirm-"];
        env.kubectl(&[&[on_call.as_str(), "annotate", short, name], &removed[..]].concat(), "").await;

        for change in [
            json!({"spec": {"suspend": false}}),
            json!({"spec": {"notAfter": "2099-12-31T00:00:00Z"}}),
            json!({"metadata": {"annotations": {"example.com/note": "changed"}}}),
            json!({"metadata": {"annotations": {"example.com/note": null}}}),
            json!({"metadata": {"annotations": {"example.com/other": "new"}}}),
            json!({"metadata": {"labels": {"team": "b"}}}),
            json!({"metadata": {"finalizers": ["example.com/kept"]}}),
        ] {
            let change = change.to_string();
            let patch = [&on_call, "patch", short, name, "--type=merge", "-p", &change];
            let refusal = env.try_kubectl(&patch, "").await.expect_err("it is rejected");
            let words = format!(
                "{} can set only the annotations cde.productsup.com/retry and cde.productsup.com/confirm of a request \
                 in {}; to change anything else, change the manifest in its source (such as Git), or ask an \
                 administrator for the role cde-operator-requester",
                on_call.trim_start_matches("--as="),
                env.namespace
            );
            assert!(refusal.contains(&words), "{change}: {refusal}");
        }
    }
}

#[tokio::test]
async fn users_who_may_only_retry_cannot_create_delete_or_write_a_status() {
    let env = governed("*").await;
    let on_call = person(&env, "on-call", "cde-operator-on-call").await;
    for kind in BOTH {
        let [there, new] = ["there", "new"].map(|what| Request::new(kind, what));
        env.apply(&there.manifest().spec("suspend", true)).await;
        let create = env.try_kubectl(&[&on_call, "create", "-f", "-"], &new.manifest().yaml()).await;
        let delete = env.try_kubectl(&[&on_call, "delete", kind.short(), &there.name], "").await;
        let done = json!({"status": {"outcome": "Succeeded"}}).to_string();
        let status =
            ["patch", kind.short(), &there.name, "--subresource=status", "--type=merge", "-p", &done];
        let status = env.try_kubectl(&[&[on_call.as_str()], &status[..]].concat(), "").await;
        for told in [create, delete, status] {
            let refusal = told.expect_err("it is rejected");
            assert!(refusal.contains("cannot") && refusal.contains("forbidden"), "{refusal}");
        }
    }
}

#[tokio::test]
async fn users_who_may_create_may_change_every_mutable_field() {
    let env = governed("*").await;
    let requester = person(&env, "requester", "cde-operator-requester").await;
    for kind in BOTH {
        let request = Request::new(kind, "it");
        env.kubectl(&[&requester, "create", "-f", "-"], &request.manifest().yaml()).await;
        let (short, name) = (kind.short(), request.name.as_str());
        let change = json!({"spec": {"suspend": true}, "metadata": {"labels": {"a": "b"}}}).to_string();
        env.kubectl(&[&requester, "patch", short, name, "--type=merge", "-p", &change], "").await;
        env.kubectl(&[&requester, "annotate", short, name, RETRY], "").await;
        env.kubectl(&[&requester, "delete", short, name], "").await;
    }
}

#[tokio::test]
async fn users_who_may_not_create_may_remove_the_finalizer_of_a_foreground_deletion() {
    let env = governed("*").await;
    let collector = person(&env, "collector", "cde-operator-on-call").await;
    let request = Request::new(Kind::Rollback, "it");
    env.apply(&request.manifest().spec("suspend", true)).await;
    env.kubectl(&["delete", "mrb", &request.name, "--cascade=foreground", "--wait=false"], "").await;

    let change = json!({"metadata": {"finalizers": null}}).to_string();
    env.kubectl(&[&collector, "patch", "mrb", &request.name, "--type=merge", "-p", &change], "").await;

    assert!(env.try_kubectl(&["get", "mrb", &request.name], "").await.is_err(), "it is deleted");
}
