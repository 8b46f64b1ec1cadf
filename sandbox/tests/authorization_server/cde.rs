//! The simulated CDE API that asks the authorization server about tokens.

use std::path::Path;

use cde_sandbox::authorization_server::{AuthorizationServer, Client};
use cde_sandbox::cde::{Connector, Remote, Sandbox, new_id};

use crate::client::http;

async fn status(base: &str, path: &str, token: &str) -> u16 {
    let answer = http().get(format!("{base}/connectors/{path}")).bearer_auth(token).send().await.unwrap();
    answer.status().as_u16()
}

#[tokio::test]
async fn the_sandbox_accepts_a_token_as_long_as_the_server_calls_it_active() {
    let server = AuthorizationServer::start().await.unwrap();
    let sandbox = Sandbox::builder().introspection(server.introspection_url()).start().await.unwrap();
    let id = new_id();
    sandbox.put(Connector::migrated(id));
    let read = async |token: &str| status(&sandbox.url(), &id.to_string(), token).await;

    let old = server.new_login().await.unwrap();
    assert_eq!(read(&old.access_token).await, 200);
    assert_eq!((read(&old.refresh_token).await, read("unknown").await), (401, 401));
    let new = server.refresh(Client::Public, &old.refresh_token).await.unwrap();
    assert_eq!((read(&old.access_token).await, read(&new.access_token).await), (401, 200));
    server.revoke_all().await.unwrap();
    assert_eq!(read(&new.access_token).await, 401);
    assert_eq!(read(&sandbox.token()).await, 200, "its own token is still accepted");

    let authorized: Vec<bool> = sandbox.ledger().calls().iter().map(|call| call.authorized).collect();
    assert_eq!(authorized, [true, false, false, false, true, false, true]);
}

#[tokio::test]
async fn the_sandbox_rejects_tokens_that_it_cannot_ask_about() {
    let server = AuthorizationServer::start().await.unwrap();
    let grant = server.new_login().await.unwrap();
    let without = Sandbox::start().await.unwrap();
    let with = Sandbox::builder().introspection(server.introspection_url()).start().await.unwrap();
    assert_eq!(status(&without.url(), &new_id().to_string(), &grant.access_token).await, 401);
    assert_eq!(status(&with.url(), &new_id().to_string(), &grant.access_token).await, 404);
    drop(server);
    assert_eq!(status(&with.url(), &new_id().to_string(), &grant.access_token).await, 401);
}

#[tokio::test]
async fn the_sandbox_program_has_a_flag_for_introspection() {
    let server = AuthorizationServer::start().await.unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_cde-sandbox"));
    let url = server.introspection_url();
    let sandbox = Remote::start(program, &["--introspection", url.as_str()]).await.unwrap();
    let grant = server.new_login().await.unwrap();
    let path = new_id().to_string();
    assert_eq!(status(sandbox.url(), &path, &grant.access_token).await, 404, "there is no such connector");
    assert_eq!(status(sandbox.url(), &path, "unknown").await, 401);
}
