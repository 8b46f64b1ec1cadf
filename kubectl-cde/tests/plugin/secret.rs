//! What happens to a Secret that exists, or that somebody else changes meanwhile.

use std::collections::BTreeSet;

use cde_operator::oauth::{Claim, key};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use super::fixture::{Person, SECRET, Waiting, run, tokens};
use super::web::TokenEndpoint;

#[tokio::test]
async fn a_refresh_during_the_login_is_noticed_and_replaced() {
    let person = Person::new().await;
    person.store(&tokens("access-1", "refresh-1", 60)).await;
    let mut waiting = Waiting::start(person.login(&["--yes"])).await;
    person.store(&tokens("access-2", "refresh-2", 3600)).await;
    let redirect = person.server.log_in(&waiting.url).await.unwrap();
    waiting.paste(redirect.as_str()).await;
    let ended = waiting.end().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("The old login was refreshed or replaced meanwhile"), "{ended:?}");
    let stored = person.stored().await;
    assert!(
        person.server.is_active(&stored[key::ACCESS_TOKEN]).await.unwrap(),
        "the person's login is stored"
    );
}

#[tokio::test]
async fn a_secret_that_appears_or_disappears_during_the_login_does_no_harm() {
    let person = Person::new().await;
    for begins_with_secret in [false, true] {
        let delete = ["-n", &person.namespace, "delete", "secret", SECRET, "--ignore-not-found"];
        person.control_plane.kubectl_ok(&delete, "").await.unwrap();
        let mut old = tokens("access-1", "refresh-1", 60);
        old.claim = Some(Claim { holder: "pod-1".to_owned(), until: jiff::Timestamp::now() });
        if begins_with_secret {
            person.store(&old).await;
        }
        let mut waiting = Waiting::start(person.login(&["--yes"])).await;
        if begins_with_secret {
            person.control_plane.kubectl_ok(&delete, "").await.unwrap();
        } else {
            person.store(&old).await;
        }
        let redirect = person.server.log_in(&waiting.url).await.unwrap();
        waiting.paste(redirect.as_str()).await;
        let ended = waiting.end().await;
        assert_eq!(ended.code, 0, "{ended:?}");
        let stored = person.stored().await;
        assert!(person.server.is_active(&stored[key::ACCESS_TOKEN]).await.unwrap());
        assert!(stored[key::REFRESH_TOKEN] != "refresh-1" && !stored.contains_key(key::CLAIM));
    }
}

#[tokio::test]
async fn a_live_login_is_replaced_only_on_request() {
    let person = Person::new().await;
    person.store(&tokens("access-1", "refresh-1", 60)).await;
    let ended = run(person.login(&[])).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.stderr.contains("holds a login. Replace it? There is no terminal to ask on: say so with --yes"),
        "{ended:?}"
    );
    assert!(!ended.stderr.contains("\n  http"), "nobody is sent to the browser: {ended:?}");
    assert_eq!(person.stored().await[key::ACCESS_TOKEN], "access-1");
}

#[tokio::test]
async fn an_expired_login_is_replaced_without_a_question() {
    let person = Person::new().await;
    let mut expired = tokens("access-1", "refresh-1", -1);
    expired.refresh_token = None;
    person.store(&expired).await;
    assert_eq!(person.logged_in(&[]).await.code, 0);
}

#[tokio::test]
async fn a_secret_with_something_else_is_not_touched() {
    let person = Person::new().await;
    for (type_, labels, says) in [
        ("Opaque", json!({}), "holds something else than a login"),
        (
            "example.com/other",
            json!({"app.kubernetes.io/managed-by": "cde-operator"}),
            "holds something else",
        ),
        ("Opaque", json!({"app.kubernetes.io/managed-by": "cde-operator"}), "is immutable"),
    ] {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": SECRET, "labels": labels},
            "type": type_,
            "immutable": says == "is immutable",
            "stringData": {"password": "canary"},
        }))
        .unwrap();
        person.secrets().create(&PostParams::default(), &secret).await.unwrap();
        let mut logout = person.plugin(&["logout", "--secret", SECRET]);
        logout.env("CDE_OAUTH_CLIENT_ID", "c");
        for command in [person.login(&["--yes"]), logout] {
            let ended = run(command).await;
            assert_eq!(ended.code, 2, "{ended:?}");
            assert!(ended.stderr.contains(says) && !ended.stderr.contains("canary"), "{ended:?}");
        }
        assert_eq!(person.stored().await["password"], "canary");
        person.secrets().delete(SECRET, &kube::api::DeleteParams::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_login_without_a_refresh_token_comes_with_a_warning() {
    let person = Person::new().await;
    let endpoint = TokenEndpoint::start().await;
    let mut waiting = Waiting::start(person.login(&["--token-url", &endpoint.url])).await;
    let redirect = person.server.log_in(&waiting.url).await.unwrap();
    waiting.paste(redirect.as_str()).await;
    endpoint.request().await.answer(200, r#"{"access_token": "a"}"#).await;
    let ended = waiting.end().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("warning: the authorization server sent no refresh token"), "{ended:?}");
    assert!(ended.stdout.contains("does not say how long"), "{ended:?}");
    let keys: Vec<String> = person.stored().await.into_keys().collect();
    assert_eq!(keys, [key::ACCESS_TOKEN, key::OBTAINED_AT]);
}

#[tokio::test]
async fn labels_and_annotations_of_others_stay() {
    let person = Person::new().await;
    person.store(&tokens("access-1", "refresh-1", 60)).await;
    let patch = json!({"metadata": {"annotations": {"team": "a"}}});
    person.secrets().patch(SECRET, &PatchParams::apply("test"), &Patch::Merge(&patch)).await.unwrap();
    assert_eq!(person.logged_in(&["--yes"]).await.code, 0);
    let metadata = person.secret().await.unwrap().metadata;
    assert_eq!(metadata.annotations.unwrap()["team"], "a");
    let managers: BTreeSet<_> =
        metadata.managed_fields.unwrap().into_iter().filter_map(|entry| entry.manager).collect();
    assert_eq!(managers, BTreeSet::from(["cde-cli".to_owned(), "test".to_owned()]));
    let ended = run(person.plugin(&["whoami", "--secret", SECRET])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
}
