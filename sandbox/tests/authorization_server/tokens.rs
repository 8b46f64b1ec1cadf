//! Rotation, reuse detection, expiry and revocation.

use std::time::Duration;

use cde_sandbox::authorization_server::{
    AuthorizationServer, CLIENT_ID, Client, Options, RefreshTokens, Statistics,
};

use crate::client::{eventually, post};

#[tokio::test]
async fn a_refresh_replaces_both_tokens_and_ends_the_old_access_token_at_once() {
    let server = AuthorizationServer::start().await.unwrap();
    let old = server.new_login().await.unwrap();
    let new = server.refresh(Client::Public, &old.refresh_token).await.unwrap();
    assert!(new.access_token != old.access_token && new.refresh_token != old.refresh_token);
    assert!(!server.is_active(&old.access_token).await.unwrap());
    assert!(server.is_active(&new.access_token).await.unwrap());
    assert!(!server.is_active(&new.refresh_token).await.unwrap(), "a refresh token is not an access token");
}

#[tokio::test]
async fn the_second_use_of_a_refresh_token_revokes_all_tokens_of_its_login() {
    let server = AuthorizationServer::start().await.unwrap();
    let (old, other) = (server.new_login().await.unwrap(), server.new_login().await.unwrap());
    let new = server.refresh(Client::Public, &old.refresh_token).await.unwrap();
    let refused = async |refresh_token: &str| {
        let error = server.refresh(Client::Public, refresh_token).await.unwrap_err().to_string();
        assert!(error.ends_with("400 Bad Request: invalid_grant"), "{error}");
    };
    refused(&old.refresh_token).await;
    assert!(!server.is_active(&new.access_token).await.unwrap());
    refused(&new.refresh_token).await;
    assert_eq!(server.statistics().await.unwrap().reuse_detections, 1, "the successor was never spent");
    refused(&old.refresh_token).await;
    let expected = Statistics {
        codes_exchanged: 2,
        refreshes: 1,
        refreshes_refused: 3,
        reuse_detections: 2,
        revocations: 0,
    };
    assert_eq!(server.statistics().await.unwrap(), expected);
    assert!(server.is_active(&other.access_token).await.unwrap());
    server.refresh(Client::Public, &other.refresh_token).await.unwrap();
}

#[tokio::test]
async fn introspection_calls_an_access_token_inactive_once_it_has_expired() {
    let lifetime = Duration::from_secs(3);
    let server = AuthorizationServer::builder().access_token_lifetime(lifetime).start().await.unwrap();
    let grant = server.new_login().await.unwrap();
    assert!(grant.expires_in.unwrap() <= lifetime);
    assert!(server.is_active(&grant.access_token).await.unwrap());
    eventually("it has expired", async || !server.is_active(&grant.access_token).await.unwrap()).await;
    let new = server.refresh(Client::Public, &grant.refresh_token).await.unwrap();
    assert!(server.is_active(&new.access_token).await.unwrap());
}

#[tokio::test]
async fn an_expired_refresh_token_is_refused_and_is_not_called_reuse() {
    let lifetime = Duration::from_secs(3);
    let server = AuthorizationServer::builder().refresh_token_lifetime(lifetime).start().await.unwrap();
    server.set(Options::default().refresh_tokens(RefreshTokens::Keep)).await.unwrap();
    let grant = server.new_login().await.unwrap();
    server.refresh(Client::Public, &grant.refresh_token).await.unwrap();
    eventually("it has expired", async || {
        let refreshed = server.refresh(Client::Public, &grant.refresh_token).await;
        refreshed.is_err_and(|error| error.to_string().ends_with("invalid_grant"))
    })
    .await;
    assert_eq!(server.statistics().await.unwrap().reuse_detections, 0);
}

#[tokio::test]
async fn a_client_that_revokes_a_token_ends_its_login() {
    let server = AuthorizationServer::start().await.unwrap();
    let (one, other) = (server.new_login().await.unwrap(), server.new_login().await.unwrap());
    for token in [one.refresh_token.as_str(), &other.access_token, "unknown"] {
        let fields = [("token", token), ("client_id", CLIENT_ID)];
        assert_eq!(post(&server.revocation_url(), &fields).await.status(), 200);
    }
    for grant in [one, other] {
        assert!(!server.is_active(&grant.access_token).await.unwrap());
        server.refresh(Client::Public, &grant.refresh_token).await.unwrap_err();
    }
    let statistics = server.statistics().await.unwrap();
    assert_eq!((statistics.revocations, statistics.reuse_detections), (3, 0));
}

#[tokio::test]
async fn an_administrator_revokes_all_tokens_and_people_can_log_in_again() {
    let server = AuthorizationServer::start().await.unwrap();
    let grant = server.new_login().await.unwrap();
    server.revoke_all().await.unwrap();
    assert!(!server.is_active(&grant.access_token).await.unwrap());
    server.refresh(Client::Public, &grant.refresh_token).await.unwrap_err();
    let again = server.new_login().await.unwrap();
    assert!(server.is_active(&again.access_token).await.unwrap());
    assert_eq!(server.statistics().await.unwrap().reuse_detections, 0);
}
