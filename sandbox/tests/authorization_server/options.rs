//! What a test can change about the server.

use std::time::Duration;

use cde_sandbox::authorization_server::{AuthorizationServer, Client, Options, RefreshTokens};
use serde_json::{Value, json};

use crate::client::{http, json as body_of, post, refresh_fields};

#[tokio::test]
async fn a_server_that_keeps_refresh_tokens_returns_the_same_one_or_none() {
    let server = AuthorizationServer::start().await.unwrap();
    let grant = server.new_login().await.unwrap();
    for (refresh_tokens, expected) in
        [(RefreshTokens::Keep, json!(grant.refresh_token)), (RefreshTokens::Omit, Value::Null)]
    {
        server.set(Options::default().refresh_tokens(refresh_tokens)).await.unwrap();
        let answer = post(&server.token_url(), &refresh_fields(&grant.refresh_token)).await;
        let answer = body_of(answer).await;
        assert_eq!(answer["refresh_token"], expected, "{refresh_tokens:?}");
        for access_token in [answer["access_token"].as_str().unwrap(), &grant.access_token] {
            assert!(server.is_active(access_token).await.unwrap(), "{refresh_tokens:?}");
        }
    }
    server.new_login().await.unwrap();
    assert_eq!(server.statistics().await.unwrap().reuse_detections, 0);
}

#[tokio::test]
async fn a_spent_refresh_token_works_again_during_the_grace_period_only() {
    let server = AuthorizationServer::start().await.unwrap();
    server.set(Options::default().grace_period(Duration::from_hours(1))).await.unwrap();
    let grant = server.new_login().await.unwrap();
    let first = server.refresh(Client::Public, &grant.refresh_token).await.unwrap();
    let second = server.refresh(Client::Public, &grant.refresh_token).await.unwrap();
    assert_ne!(first.refresh_token, second.refresh_token);
    assert!(server.is_active(&second.access_token).await.unwrap());
    server.refresh(Client::Public, &first.refresh_token).await.unwrap();
    assert_eq!(server.statistics().await.unwrap().reuse_detections, 0);

    server.set(Options::default()).await.unwrap();
    server.refresh(Client::Public, &grant.refresh_token).await.unwrap_err();
    assert_eq!(server.statistics().await.unwrap().reuse_detections, 1);
    server.refresh(Client::Public, &second.refresh_token).await.unwrap_err();
}

#[tokio::test]
async fn members_of_the_answers_are_replaced_and_removed() {
    let server = AuthorizationServer::start().await.unwrap();
    let mut refresh_token = server.new_login().await.unwrap().refresh_token;
    for value in [json!("60"), json!(0), json!(-1), json!(1e300), json!(u64::MAX), Value::Null] {
        server.set(Options::default().with("expires_in", value.clone())).await.unwrap();
        let answer = body_of(post(&server.token_url(), &refresh_fields(&refresh_token)).await).await;
        assert_eq!(answer.get("expires_in"), Some(&value));
        answer["refresh_token"].as_str().unwrap().clone_into(&mut refresh_token);
    }
    server.set(Options::default().without("expires_in").without("token_type")).await.unwrap();
    assert_eq!(server.new_login().await.unwrap().expires_in, None);
    let answer = body_of(post(&server.token_url(), &refresh_fields(&refresh_token)).await).await;
    assert_eq!((answer.get("expires_in"), answer.get("token_type")), (None, None));
}

#[tokio::test]
async fn another_body_hides_tokens_that_were_issued() {
    let server = AuthorizationServer::start().await.unwrap();
    for (content_type, text) in [("text/html", "<html>Welcome</html>"), ("application/json", "")] {
        let grant = server.new_login().await.unwrap();
        server.set(Options::default().body(content_type, text)).await.unwrap();
        let answer = post(&server.token_url(), &refresh_fields(&grant.refresh_token)).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &content_type.parse().unwrap())
        );
        assert_eq!(answer.text().await.unwrap(), text);
        assert!(!server.is_active(&grant.access_token).await.unwrap());
        server.set(Options::default()).await.unwrap();
    }
    assert_eq!(server.statistics().await.unwrap().refreshes, 2);
}

#[tokio::test]
async fn an_unknown_option_is_rejected() {
    let server = AuthorizationServer::start().await.unwrap();
    let url = format!("{}/control/options", server.issuer());
    let answer = http().put(url).body(r#"{"rotat": true}"#).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("rotat"));
}
