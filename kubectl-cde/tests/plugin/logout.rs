//! `kubectl cde logout`.

use cde_operator::oauth::key;

use super::fixture::{Person, SECRET, run, tokens};
use super::web::TokenEndpoint;

#[tokio::test]
async fn a_logout_revokes_the_login_and_empties_the_secret() {
    let person = Person::with_verbs(&["get", "create", "patch"]).await;
    assert_eq!(person.logged_in(&[]).await.code, 0);
    let stored = person.stored().await;
    let revocation = person.server.revocation_url().to_string();
    let logout = || {
        let mut command = person.plugin(&["logout", "--secret", SECRET, "--client-id", "cde-operator"]);
        command.args(["--revocation-url", &revocation]);
        run(command)
    };
    let ended = logout().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.starts_with("The login is revoked, and the Secret "), "{ended:?}");
    assert!(!person.server.is_active(&stored[key::ACCESS_TOKEN]).await.unwrap());
    assert!(person.stored().await.is_empty() && person.secret().await.is_some(), "the Secret stays");
    let ended = logout().await;
    assert!(ended.code == 0 && ended.stdout.starts_with("There is no login"), "{ended:?}");
    assert_eq!(person.server.statistics().await.unwrap().revocations, 1);
}

#[tokio::test]
async fn a_logout_without_a_revocation_url_says_that_nothing_was_revoked() {
    let person = Person::new().await;
    assert_eq!(person.logged_in(&[]).await.code, 0);
    let stored = person.stored().await;
    let ended = run(person.plugin(&["logout", "--secret", SECRET])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("was not revoked, because no revocation URL is known"), "{ended:?}");
    assert!(person.stored().await.is_empty());
    assert!(person.server.is_active(&stored[key::ACCESS_TOKEN]).await.unwrap());
}

#[tokio::test]
async fn a_login_that_cannot_be_revoked_stays_unless_asked_otherwise() {
    let person = Person::new().await;
    assert_eq!(person.logged_in(&[]).await.code, 0);
    let before = person.stored().await;
    let closed = TokenEndpoint::start().await.url.clone();
    let logout = |more: &[&str]| {
        let mut command = person.plugin(&["logout", "--secret", SECRET, "--client-id", "cde-operator"]);
        command.args(["--revocation-url", &closed]).args(more);
        run(command)
    };
    let ended = logout(&[]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.stderr.contains("the Secret is unchanged") && ended.stderr.contains("--skip-revocation"),
        "{ended:?}"
    );
    assert_eq!(person.stored().await, before);
    assert_eq!(logout(&["--skip-revocation"]).await.code, 0);
    assert!(person.stored().await.is_empty());
}

#[tokio::test]
async fn a_login_refreshed_during_the_logout_is_revoked_too() {
    let person = Person::new().await;
    person.store(&tokens("access-1", "refresh-1", 60)).await;
    let endpoint = TokenEndpoint::start().await;
    let mut command = person.plugin(&["logout", "--secret", SECRET, "--client-id", "cde-operator"]);
    command.args(["--revocation-url", &endpoint.url]);
    let refreshed = async {
        let first = endpoint.request().await;
        assert_eq!(first.field("token"), "refresh-1");
        person.store(&tokens("access-2", "refresh-2", 60)).await;
        first.answer(200, "").await;
        let second = endpoint.request().await;
        assert_eq!(second.field("token"), "refresh-2");
        second.answer(200, "").await;
    };
    let (ended, ()) = tokio::join!(run(command), refreshed);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(person.stored().await.is_empty());
}
