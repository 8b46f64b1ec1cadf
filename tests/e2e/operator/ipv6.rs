//! A cluster in which all addresses are IPv6 addresses.

use std::net::Ipv6Addr;

use cde_sandbox::cde::Sandbox;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::faults::request::{all_succeed_once, apply, both};
use cde_harness::{Flags, TestEnv};

/// Returns a port of `::1` at which `server`, an address of this machine, answers.
async fn ipv6_port(server: &str) -> u16 {
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap();
    let (port, server) = (listener.local_addr().unwrap().port(), server.to_owned());
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let server = server.clone();
            connections.spawn(async move {
                let mut server = TcpStream::connect(server).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    port
}

#[tokio::test]
async fn the_operator_works_with_ipv6_addresses_of_the_api_server_the_cde_api_and_its_own() {
    let mut env = TestEnv::new().await;
    let builder = Sandbox::builder().tls().listen((Ipv6Addr::LOCALHOST, 0).into());
    env.sandbox = builder.token(env.sandbox.token()).start().await.unwrap();
    assert!(env.sandbox.url().starts_with("https://[::1]:"), "{}", env.sandbox.url());
    let ca = env.scratch.path().join("ca.pem");
    std::fs::write(&ca, env.sandbox.ca_pem().unwrap()).unwrap();
    let port = ipv6_port(env.control_plane.url().trim_start_matches("https://")).await;
    let kubeconfig = env.kubeconfig(Some(&format!("https://[::1]:{port}"))).await;
    let flags = Flags::fast_retries().with("--listen", "[::]:0").with("--ca-file", ca.to_str().unwrap());

    let mut operator = env.start_as(&kubeconfig, flags).await;

    let requests = both(&env.sandbox, "six");
    apply(&env, &requests).await;
    all_succeed_once(&env, &requests).await;
    assert!(operator.log().contains("\"listen\":\"[::]:"), "{}", operator.log());
    for path in ["/livez", "/metrics"] {
        assert_eq!(operator.probe(path).await.unwrap().0, 200, "{path}");
    }
}
