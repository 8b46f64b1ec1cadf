//! The browser's part of a login succeeds, and the write of the Secret does not.

use cde_operator::oauth::key;
use cde_sandbox::proxy::{Point, Proxy, Rule};
use reqwest::Method;

use super::fixture::{Ended, Person, SECRET, Waiting};
use super::web::TokenEndpoint;

/// Logs in with `more` flags, and loses all permissions before the token endpoint is asked.
async fn logged_in_for_nothing(person: &Person, more: &[&str]) -> Ended {
    let mut waiting = Waiting::start(person.login(more)).await;
    let redirect = person.server.log_in(&waiting.url).await.unwrap();
    person.forbid().await;
    waiting.paste(redirect.as_str()).await;
    let ended = waiting.end().await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(person.secret().await.is_none());
    let statistics = person.server.statistics().await.unwrap();
    assert_eq!(statistics.codes_exchanged, 1);
    ended
}

#[tokio::test]
async fn a_login_that_cannot_be_stored_is_revoked() {
    let person = Person::new().await;
    let url = person.server.revocation_url().to_string();
    let ended = logged_in_for_nothing(&person, &["--revocation-url", &url]).await;
    assert!(ended.stderr.contains("could not be stored, so it was revoked"), "{ended:?}");
    assert_eq!(person.server.statistics().await.unwrap().revocations, 1);
}

#[tokio::test]
async fn a_login_that_can_neither_be_stored_nor_revoked_is_reported() {
    let person = Person::new().await;
    let ended = logged_in_for_nothing(&person, &[]).await;
    assert!(ended.stderr.contains("not revoked, because no revocation URL is known"), "{ended:?}");
    let person = Person::new().await;
    let closed = TokenEndpoint::start().await.url.clone();
    let ended = logged_in_for_nothing(&person, &["--revocation-url", &closed]).await;
    assert!(ended.stderr.contains("could not be stored, and it was not revoked ("), "{ended:?}");
}

#[tokio::test]
async fn a_login_whose_write_has_no_reply_is_not_revoked_because_it_may_be_stored() {
    let mut person = Person::new().await;
    person.store(&super::fixture::tokens("access-1", "refresh-1", -1)).await;
    let api = Proxy::start(person.control_plane).await.unwrap();
    let result = Rule::verb(Method::PATCH)
        .path_ends_with(SECRET)
        .and("the result", |call| call.json()["data"].get(key::ACCESS_TOKEN).is_some());
    api.cut(result, Point::BeforeReply);
    let behind = person.control_plane.service_account(&person.namespace, "person", Some(api.url())).await;
    person.kubeconfig = behind.unwrap();
    let url = person.server.revocation_url().to_string();
    let ended = person.logged_in(&["--yes", "--revocation-url", &url]).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("The new login may be stored"), "{ended:?}");
    let stored = person.stored().await;
    assert!(person.server.is_active(&stored[key::ACCESS_TOKEN]).await.unwrap(), "{ended:?}");
    assert_eq!(person.server.statistics().await.unwrap().revocations, 0);
}
