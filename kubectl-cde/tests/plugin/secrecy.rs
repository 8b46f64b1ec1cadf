//! Fault 73: no output shows a token, a code, a verifier or a client secret.

use cde_operator::oauth::key;

use super::fixture::{Ended, Person, SECRET, Waiting, run};
use super::web::{TokenEndpoint, visit};

fn assert_hidden(ended: &Ended, secrets: &[&str]) {
    for secret in secrets {
        assert!(secret.len() > 5, "{secret} could be anywhere");
        assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "{secret}: {ended:?}");
    }
}

/// Fault 73.
#[tokio::test]
async fn no_output_of_a_login_and_its_end_shows_a_credential() {
    let person = Person::new().await;
    let waiting = Waiting::start(person.login(&[])).await;
    let redirect = person.server.log_in(&waiting.url).await.unwrap();
    let code = redirect.query_pairs().find(|(key, _)| key == "code").unwrap().1.into_owned();
    let (_, page) = visit(&redirect).await;
    let login = waiting.end().await;
    let stored = person.stored().await;
    let hidden = [code.as_str(), &stored[key::ACCESS_TOKEN], &stored[key::REFRESH_TOKEN]];
    assert!(hidden.iter().all(|secret| !page.contains(secret)), "{page}");
    let revocation = person.server.revocation_url().to_string();
    let mut logout = person.plugin(&["logout", "--secret", SECRET, "--client-id", "cde-operator"]);
    logout.args(["--revocation-url", &revocation]);
    let whoami = |output| person.plugin(&["whoami", "--secret", SECRET, "-o", output]);
    let outputs = [login, run(whoami("text")).await, run(whoami("json")).await, run(logout).await];
    for ended in &outputs {
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_hidden(ended, &hidden);
    }
}

/// Fault 73.
#[tokio::test]
async fn a_server_that_repeats_what_it_got_is_redacted() {
    let person = Person::new().await;
    let endpoint = TokenEndpoint::start().await;
    for status in [400, 401, 429, 500, 200] {
        let mut waiting = Waiting::start(person.login(&["--token-url", &endpoint.url])).await;
        let redirect = person.server.log_in(&waiting.url).await.unwrap();
        waiting.paste(redirect.as_str()).await;
        let exchange = endpoint.request().await;
        let (code, verifier) = (exchange.field("code"), exchange.field("code_verifier"));
        let error = if status == 400 { "invalid_grant" } else { "invalid_client" };
        let body = format!(r#"{{"error": "{error}", "error_description": "no {code} {verifier}"}}"#);
        exchange.answer(status, &body).await;
        let ended = waiting.end().await;
        assert_ne!(ended.code, 0, "{ended:?}");
        assert_hidden(&ended, &[&code, &verifier]);
    }
}

/// Fault 73.
#[tokio::test]
async fn a_token_that_could_not_be_stored_is_not_shown() {
    let person = Person::new().await;
    let endpoint = TokenEndpoint::start().await;
    let mut waiting = Waiting::start(person.login(&["--token-url", &endpoint.url])).await;
    let redirect = person.server.log_in(&waiting.url).await.unwrap();
    waiting.paste(redirect.as_str()).await;
    let exchange = endpoint.request().await;
    person.forbid().await;
    exchange.answer(200, r#"{"access_token": "canary-access", "refresh_token": "canary-refresh"}"#).await;
    let ended = waiting.end().await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("you may not"), "{ended:?}");
    assert_hidden(&ended, &["canary-access", "canary-refresh"]);
}
