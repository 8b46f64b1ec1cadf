//! Connections that fail, and TLS.

use std::time::Duration;

use cde_operator::cde::Client;
use cde_operator::cde::model::{Connector, FailureKind};
use cde_sandbox::cde::{self as sandbox, Sandbox};
use tokio::net::TcpListener;

use crate::fixture::{Api, LONG_TIMEOUT, client, config, file, roll_back_at};

#[tokio::test]
async fn nothing_is_sent_to_an_unreachable_host() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for base in [closed.as_str(), "https://no-such-host.invalid"] {
        let failure = roll_back_at(&client(base, LONG_TIMEOUT)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::NotSent, "{failure:?}");
        assert!(failure.message.contains("nothing was sent"), "{failure:?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_before_an_unanswered_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let failure = roll_back_at(&client(&base, Duration::from_millis(400))).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotSent, "{failure:?}");
}

#[tokio::test]
async fn nothing_is_sent_while_the_api_is_down_and_calls_work_when_it_is_back() {
    let api = Api::migrated().await;
    api.read().await.unwrap();
    api.sandbox.down().await;
    // The pooled connection may turn out to be dead only when it is used.
    let first = api.roll_back().await.unwrap_err();
    assert!(matches!(first.kind, FailureKind::NotSent | FailureKind::NoAnswer), "{first:?}");
    let second = api.roll_back().await.unwrap_err();
    assert_eq!(second.kind, FailureKind::NotSent, "{second:?}");
    api.sandbox.up().await.unwrap();
    api.roll_back().await.unwrap();
    assert_eq!((api.sandbox.effects(api.id), api.sandbox.ledger().total()), (1, 2));
}

#[tokio::test]
async fn an_idle_connection_is_reused_only_as_long_as_common_servers_keep_it() {
    for (idle, reused) in [(3, true), (5, false)] {
        let api = Api::migrated().await;
        api.read().await.unwrap();
        pass_time(Duration::from_secs(idle)).await;
        api.roll_back().await.unwrap();
        let ledger = api.sandbox.ledger();
        let [read, rollback] = ledger.calls() else { panic!("two calls: {ledger}") };
        assert_eq!(read.connection == rollback.connection, reused, "idle for {idle} s");
    }
}

/// Lets this time pass for the tasks of this runtime, in steps in which all of them run.
async fn pass_time(duration: Duration) {
    tokio::time::pause();
    for _ in 0..100 {
        tokio::time::advance(duration / 100).await;
    }
    tokio::time::resume();
}

#[tokio::test]
async fn an_unknown_authority_is_rejected_and_one_from_the_ca_file_is_accepted() {
    let tls = Sandbox::builder().tls().start().await.unwrap();
    let mut api = Api::of(tls, sandbox::Connector::migrated);
    let failure = api.roll_back().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotSent);
    assert!(failure.message.to_lowercase().contains("certificate"), "{failure:?}");
    assert_eq!(api.sandbox.ledger().total(), 0);

    let ca = file(api.sandbox.ca_pem().unwrap());
    let mut config = config(&api.sandbox.url(), LONG_TIMEOUT);
    config.ca_file = Some(ca.path().to_owned());
    api.client = Client::new(&config).unwrap();
    api.roll_back().await.unwrap();
    assert_ne!(api.read().await.unwrap(), Connector::default());
    assert_eq!(api.sandbox.ledger().total(), 2);
}

#[tokio::test]
async fn a_ca_file_without_a_certificate_is_rejected_with_a_clear_message() {
    let broken = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    let not_one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for content in ["", "not PEM", broken, not_one] {
        let ca = file(content);
        let mut config = config("https://cde.example.com", LONG_TIMEOUT);
        config.ca_file = Some(ca.path().to_owned());
        let error = Client::new(&config).unwrap_err().to_string();
        assert!(error.contains(&format!("--ca-file {}", ca.path().display())), "{content}: {error}");
    }
    let mut config = config("https://cde.example.com", LONG_TIMEOUT);
    config.ca_file = Some("/no/such/file".into());
    let error = Client::new(&config).unwrap_err().to_string();
    assert!(error.starts_with("--ca-file /no/such/file cannot be read"), "{error}");
}
