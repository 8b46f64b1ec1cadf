//! The login page, the code and the two clients.

use cde_sandbox::authorization_server::{
    AuthorizationServer, CLIENT_ID, CLIENT_SECRET, CONFIDENTIAL_CLIENT_ID, Client, PASSWORD, USER,
};
use serde_json::Value;

use crate::client::{authorization_request, http, json, parameter, post};

/// The verifier in the example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

#[tokio::test]
async fn a_login_returns_good_tokens_to_either_client() {
    let server = AuthorizationServer::start().await.unwrap();
    for client in [Client::Public, Client::Confidential] {
        let grant = server.new_login_as(client).await.unwrap();
        assert!(server.is_active(&grant.access_token).await.unwrap());
        let lifetime = grant.expires_in.unwrap().as_secs();
        assert!((3595..=3600).contains(&lifetime), "{lifetime}");
        server.refresh(client, &grant.refresh_token).await.unwrap();
    }
    let statistics = server.statistics().await.unwrap();
    assert_eq!((statistics.codes_exchanged, statistics.refreshes), (2, 2));
}

#[tokio::test]
async fn the_login_page_is_a_form_that_refuses_a_wrong_password() {
    let server = AuthorizationServer::start().await.unwrap();
    let request = authorization_request(&server, &[]);
    let page = http().get(request.clone()).send().await.unwrap().text().await.unwrap();
    for part in
        [r#"<form method="post">"#, r#"name="username""#, r#"type="password""#, "Log in", "Cancel", CLIENT_ID]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    for (user, password) in [(USER, "wrong"), ("wrong", PASSWORD), ("", "")] {
        let answer = post(&request, &[("username", user), ("password", password)]).await;
        assert_eq!(
            (answer.status(), answer.headers().get("location")),
            (http::StatusCode::UNAUTHORIZED, None)
        );
        assert!(answer.text().await.unwrap().contains("The user name or the password is wrong."));
    }
}

#[tokio::test]
async fn a_cancelled_login_redirects_with_access_denied() {
    let server = AuthorizationServer::start().await.unwrap();
    let redirect = server.cancel(&authorization_request(&server, &[])).await.unwrap();
    assert_eq!((redirect.port(), redirect.path()), (Some(49152), "/callback"));
    assert_eq!(parameter(&redirect, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&redirect, "state").as_deref(), Some("a-state-of-the-client"));
    assert_eq!(parameter(&redirect, "iss").as_deref(), Some(server.issuer()));
    assert_eq!(parameter(&redirect, "code"), None);
}

#[tokio::test]
async fn a_request_that_breaks_a_rule_gets_an_error_and_no_code() {
    let server = AuthorizationServer::start().await.unwrap();
    for (change, error) in [
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("state", "short"), "invalid_state"),
        (("response_type", "token"), "unsupported_response_type"),
    ] {
        let redirect = server.log_in(&authorization_request(&server, &[change])).await.unwrap();
        assert_eq!(parameter(&redirect, "error").as_deref(), Some(error), "{change:?}");
        assert_eq!(parameter(&redirect, "code"), None, "{change:?}");
    }
    for change in [("redirect_uri", "http://127.0.0.1:49152/other"), ("client_id", "another")] {
        let answer = http().get(authorization_request(&server, &[change])).send().await.unwrap();
        assert!(
            answer.status().is_client_error() && answer.headers().get("location").is_none(),
            "{change:?}"
        );
    }
}

async fn new_code(server: &AuthorizationServer) -> String {
    let redirect = server.log_in(&authorization_request(server, &[])).await.unwrap();
    parameter(&redirect, "code").unwrap()
}

async fn exchange(server: &AuthorizationServer, code: &str, verifier: &str) -> Value {
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT_ID),
        ("code", code),
        ("redirect_uri", "http://127.0.0.1:49152/callback"),
        ("code_verifier", verifier),
    ];
    json(post(&server.token_url(), &fields).await).await
}

#[tokio::test]
async fn a_code_is_worthless_without_its_verifier() {
    let server = AuthorizationServer::start().await.unwrap();
    for verifier in [VERIFIER.to_lowercase().as_str(), ""] {
        let answer = exchange(&server, &new_code(&server).await, verifier).await;
        assert_eq!(answer["error"], "invalid_grant");
    }
    assert_eq!(server.statistics().await.unwrap().codes_exchanged, 0);
}

#[tokio::test]
async fn the_second_use_of_a_code_revokes_its_tokens() {
    let server = AuthorizationServer::start().await.unwrap();
    let code = new_code(&server).await;
    let tokens = exchange(&server, &code, VERIFIER).await;
    let access_token = tokens["access_token"].as_str().unwrap();
    assert!(server.is_active(access_token).await.unwrap());
    assert_eq!(exchange(&server, &code, VERIFIER).await["error"], "invalid_grant");
    assert!(!server.is_active(access_token).await.unwrap());
}

#[tokio::test]
async fn the_confidential_client_is_refused_without_its_secret() {
    let server = AuthorizationServer::start().await.unwrap();
    let grant = server.new_login_as(Client::Confidential).await.unwrap();
    for (secret, status) in [("", 401), ("wrong", 401), (CLIENT_SECRET, 200)] {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &grant.refresh_token),
            ("client_id", CONFIDENTIAL_CLIENT_ID),
            ("client_secret", secret),
        ];
        assert_eq!(post(&server.token_url(), &fields).await.status(), status, "{secret}");
    }
}
