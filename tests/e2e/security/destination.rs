//! The token goes to the configured host and nowhere else, whatever the responses say and whatever is in between.

use std::net::TcpListener;

use cde_sandbox::cde::{Fault, Operation, Sandbox};
use serde_json::json;

use crate::security::tunnel::Tunnel;
use cde_harness::{Flags, Kind, Operator, Request, TestEnv};

const TOKEN: &str = "canary-token-5e1f";
/// Reachable only through the proxy, because no resolver knows it.
const HOST: &str = "cde.example.test";

/// Returns a CDE API that only a proxy reaches, and the flags to reach it that way.
async fn behind_a_proxy(env: &mut TestEnv) -> (Tunnel, Flags) {
    env.sandbox = Sandbox::builder().tls().named(HOST).token(TOKEN).start().await.unwrap();
    std::fs::write(env.token_file(), TOKEN).unwrap();
    let address = env.sandbox.url().trim_start_matches("https://").to_owned();
    let port = address.rsplit(':').next().unwrap().to_owned();
    let tunnel = Tunnel::start(HOST, address).await;
    let ca = env.scratch.path().join("ca.pem");
    std::fs::write(&ca, env.sandbox.ca_pem().unwrap()).unwrap();
    let flags = Flags::fast_retries()
        .env("CDE_URL", &format!("https://{HOST}:{port}"))
        .env("CDE_CA_FILE", ca.to_str().unwrap())
        .env("HTTPS_PROXY", &tunnel.url);
    (tunnel, flags)
}

async fn requests(env: &TestEnv, what: &str) -> [Request; 2] {
    let requests = [Kind::Restore, Kind::Rollback].map(|kind| Request::new(kind, what));
    for request in &requests {
        env.sandbox.put(request.ready_connector());
        env.apply(&request.manifest()).await;
    }
    requests
}

#[tokio::test]
async fn a_proxy_tunnels_the_calls_and_never_sees_the_token() {
    let mut env = TestEnv::new().await;
    let (tunnel, flags) = behind_a_proxy(&mut env).await;
    let _operator = env.start(flags.env("NO_PROXY", "127.0.0.1,localhost")).await;

    for request in &requests(&env, "tunnelled").await {
        env.wait_for(request, request.success()).await;
    }

    assert!(env.sandbox.ledger().calls().iter().all(|call| call.authorized));
    let seen = tunnel.seen();
    assert!(seen.contains(&format!("CONNECT {HOST}:")), "no connection came through the proxy");
    assert!(!seen.contains("CONNECT 127.0.0.1"), "the API server must not be reached through the proxy");
    for secret in [TOKEN, "Bearer", "restore-from-bin"] {
        assert!(!seen.to_lowercase().contains(&secret.to_lowercase()), "the proxy sees {secret:?}");
    }
}

#[tokio::test]
async fn a_host_in_no_proxy_is_reached_directly_or_not_at_all() {
    let mut env = TestEnv::new().await;
    let (tunnel, flags) = behind_a_proxy(&mut env).await;
    let _operator = env.start(flags.env("NO_PROXY", &format!("127.0.0.1,{HOST}"))).await;

    for request in &requests(&env, "direct").await {
        let waiting = env.wait_for(request, "Retrying").await;
        assert!(waiting.message().contains("cannot connect"), "{waiting:#?}");
    }

    assert_eq!(tunnel.seen(), "", "the proxy was contacted");
    assert_eq!(env.sandbox.ledger().total(), 0);
}

/// The permission to use plain HTTP to this machine does not extend to a proxy.
#[tokio::test]
async fn calls_to_loopback_bypass_the_proxy() {
    let env = TestEnv::new().await;
    let tunnel = Tunnel::start("nobody", String::new()).await;
    let flags = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
        .into_iter()
        .fold(Flags::fast_retries(), |flags, name| flags.env(name, &tunnel.url));
    let _operator: Operator = env.start(flags.env("NO_PROXY", "")).await;

    for request in &requests(&env, "near").await {
        env.wait_for(request, request.success()).await;
    }

    assert!(!tunnel.seen().contains("/connectors/"), "a call went through the proxy");
}

/// Fault 29: whatever a response points to. An HTTPS server may point to HTTP, and a redirect is not the only way.
#[tokio::test]
async fn a_host_that_a_response_names_is_never_contacted() {
    let mut env = TestEnv::new().await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let evil = format!("http://{}/x", elsewhere.local_addr().unwrap());
    env.sandbox = Sandbox::builder().tls().token(TOKEN).start().await.unwrap();
    std::fs::write(env.token_file(), TOKEN).unwrap();
    let ca = env.scratch.path().join("ca.pem");
    std::fs::write(&ca, env.sandbox.ca_pem().unwrap()).unwrap();
    let _operator = env.start(Flags::fast_retries().with("--ca-file", ca.to_str().unwrap())).await;
    let on = || {
        Fault::on(Operation::Changing)
            .header("link", format!("<{evil}>; rel=\"next\""))
            .header("refresh", format!("0; url={evil}"))
    };
    let faults = [
        ("moved", on().answer(301).header("location", &*evil)),
        ("found", on().answer(302).header("location", &*evil)),
        ("other", on().answer(303).header("location", &*evil)),
        ("again", on().answer(307).header("location", &*evil)),
        ("for-good", on().answer(308).header("location", &*evil)),
        ("schemeless", on().answer(307).header("location", evil.trim_start_matches("http:"))),
        ("use-proxy", on().answer(305).header("location", &*evil)),
        ("created", on().answer(201).header("location", &*evil).header("content-location", &*evil)),
        (
            "challenge",
            on().answer(407).html().header("proxy-authenticate", format!("Basic realm=\"{evil}\"")),
        ),
        ("alternative", on().answer(503).header("alt-svc", format!("h2=\"{}\"", &evil[7..evil.len() - 2]))),
        (
            "in-body",
            on().set("/data/url", json!(evil)).set("/data/next", json!(evil)).set("/data/name", json!(evil)),
        ),
    ];
    let mut all = Vec::new();
    for (name, fault) in faults {
        for kind in [Kind::Restore, Kind::Rollback] {
            let request = env.request(kind, name, fault.clone());
            all.push(request);
        }
    }
    env.apply_all(all.iter().map(Request::manifest)).await;

    for request in &all {
        env.wait_for(request, request.success()).await;
        assert!(!env.attempts(request).is_empty());
    }
    assert!(elsewhere.accept().is_err(), "a request followed a response");
}
