//! What a careful native app does with the redirects that it gets.

use cde_operator::oauth::key;
use url::Url;

use super::fixture::{Person, Waiting};
use super::web::{TokenEndpoint, http, visit};

fn with(url: &Url, name: &str, value: &str) -> Url {
    let mut changed = url.clone();
    let pairs: Vec<_> = url.query_pairs().into_owned().filter(|(key, _)| key != name).collect();
    changed.query_pairs_mut().clear().extend_pairs(pairs).append_pair(name, value);
    changed
}

/// Fault 74.
#[tokio::test]
async fn a_forged_redirect_neither_ends_the_login_nor_logs_in() {
    let person = Person::new().await;
    let waiting = Waiting::start(person.login(&[])).await;
    let redirect = person.server.log_in(&waiting.url).await.unwrap();
    let callback = waiting.redirect_uri();
    let favicon = callback.join("/favicon.ico").unwrap();
    let denied: Url = format!("{callback}?error=access_denied&state=forged-state").parse().unwrap();
    for (url, expected) in [
        (with(&redirect, "state", "forged-state"), 400),
        (denied, 400),
        (callback.clone(), 400),
        (favicon, 404),
        (callback.join("/").unwrap(), 404),
    ] {
        assert_eq!(visit(&url).await.0, expected, "{url}");
    }
    for method in [reqwest::Method::HEAD, reqwest::Method::POST] {
        let answer = http().request(method, redirect.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 405);
    }
    assert!(person.secret().await.is_none());
    assert_eq!(person.server.statistics().await.unwrap().codes_exchanged, 0);
    assert_eq!(visit(&redirect).await.0, 200);
    assert_eq!(waiting.end().await.code, 0);
    assert_eq!(person.server.statistics().await.unwrap().codes_exchanged, 1);
}

/// Fault 74.
#[tokio::test]
async fn a_login_that_was_canceled_ends_at_once() {
    let person = Person::new().await;
    let waiting = Waiting::start(person.login(&[])).await;
    let (status, page) = visit(&person.server.cancel(&waiting.url).await.unwrap()).await;
    assert!(status == 200 && page.contains("There is no login"), "{page}");
    let ended = waiting.end().await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("error: the login was canceled or denied"), "{ended:?}");
    assert!(person.secret().await.is_none());
}

/// Fault 74.
#[tokio::test]
async fn a_code_of_another_issuer_is_sent_nowhere() {
    let person = Person::new().await;
    for (more, iss, code) in [
        (vec![], "https://evil.example", 1),
        (vec!["--issuer", "https://issuer.example"], person.server.issuer(), 1),
        (vec!["--issuer", "https://issuer.example"], "https://issuer.example", 0),
    ] {
        let waiting = Waiting::start(person.login(&more)).await;
        let redirect = person.server.log_in(&waiting.url).await.unwrap();
        visit(&with(&redirect, "iss", iss)).await;
        let ended = waiting.end().await;
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(
            code == 0 || ended.stderr.contains(&format!("another authorization server ({iss})")),
            "{ended:?}"
        );
        assert_eq!(person.server.statistics().await.unwrap().codes_exchanged, u64::from(code == 0));
    }
}

/// Fault 74.
#[tokio::test]
async fn a_second_redirect_is_not_exchanged() {
    let person = Person::new().await;
    let endpoint = TokenEndpoint::start().await;
    let waiting = Waiting::start(person.login(&["--token-url", &endpoint.url])).await;
    let redirect = person.server.log_in(&waiting.url).await.unwrap();
    let other = person.server.log_in(&waiting.url).await.unwrap();
    assert_eq!(visit(&redirect).await.0, 200);
    let exchange = endpoint.request().await;
    assert!(
        exchange
            .form
            .contains(&redirect.query_pairs().find(|(key, _)| key == "code").unwrap().1.into_owned())
    );
    for again in [&other, &redirect] {
        let (status, page) = visit(again).await;
        assert!(status == 409 && page.contains("used already"), "{page}");
    }
    exchange.answer(200, r#"{"access_token": "a", "refresh_token": "r", "expires_in": 60}"#).await;
    assert_eq!(waiting.end().await.code, 0);
    assert_eq!(person.stored().await[key::REFRESH_TOKEN], "r");
}

#[tokio::test]
async fn a_wrong_line_is_explained_and_the_login_goes_on() {
    let person = Person::new().await;
    let mut waiting = Waiting::start(person.login(&[])).await;
    let redirect = person.server.log_in(&waiting.url).await.unwrap();
    for line in ["", "yes", "http://127.0.0.1/callback"] {
        waiting.paste(line).await;
    }
    waiting.until("This is not the whole address").await;
    waiting.paste(with(&redirect, "state", "forged-state").as_str()).await;
    waiting.until("belongs to another login").await;
    waiting.paste(&format!("  {redirect}  ")).await;
    assert_eq!(waiting.end().await.code, 0);
}

#[tokio::test]
async fn a_code_that_the_server_rejects_changes_nothing() {
    let person = Person::new().await;
    let mut waiting = Waiting::start(person.login(&[])).await;
    let redirect = person.server.log_in(&waiting.url).await.unwrap();
    waiting.paste(with(&redirect, "code", "wrong").as_str()).await;
    let ended = waiting.end().await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("invalid_grant") && ended.stderr.contains("run this again"), "{ended:?}");
    assert!(person.secret().await.is_none());
}
