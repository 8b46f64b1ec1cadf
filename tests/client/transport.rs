//! Connections that fail, and TLS.

use std::process::Command;
use std::time::Duration;

use cde_operator::cde::Client;
use cde_operator::cde::model::{Connector, FailureKind};
use cde_sandbox::cde::{self as sandbox, Flaw, Sandbox};
use cde_sandbox::process::{Process, spawn_lines};
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

/// Returns why a call to `base` that trusts `ca` fails before anything is sent.
async fn failure(base: &str, ca: &str) -> String {
    let ca = file(ca);
    let mut config = config(base, LONG_TIMEOUT);
    config.ca_file = Some(ca.path().to_owned());
    let failure = roll_back_at(&Client::new(&config).unwrap()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotSent, "{failure:?}");
    failure.message
}

#[tokio::test]
async fn an_unusable_certificate_is_named_with_what_to_do() {
    for (flaw, words) in [
        (Flaw::Expired, ["certificate expired at 20", "renew it, or correct the clock"]),
        (Flaw::NotYetValid, ["certificate not valid yet, not before 20", "correct the clock"]),
        (Flaw::OtherHost, ["only valid for DnsName(\"other.example\")", "use one of its names in the URL"]),
        (Flaw::NoAlternativeName, ["certificate not valid for name", "or have it issued for this name"]),
        (Flaw::SelfSigned, ["invalid peer certificate", "with --ca-file"]),
    ] {
        let server = Sandbox::builder().tls().flawed(flaw).start().await.unwrap();
        let message = failure(&server.url(), server.ca_pem().unwrap()).await;
        for word in words {
            assert!(message.contains(word), "{flaw:?}: {message}");
        }
    }
}

#[tokio::test]
async fn a_certificate_of_a_renewed_or_unknown_authority_is_named_with_what_to_do() {
    let [server, renewed, other] = [(), (), ()].map(|()| Sandbox::builder().tls());
    let (server, renewed) = (server.start().await.unwrap(), renewed.start().await.unwrap());
    let other = other.flawed(Flaw::SelfSigned).named("other.example").start().await.unwrap();
    for (ca, words) in [
        (renewed.ca_pem(), "BadSignature: an authority of the same name but with another key issued it"),
        (
            other.certificate_pem(),
            "UnknownIssuer; pass the certificate of the authority that issued it with --ca-file",
        ),
    ] {
        let message = failure(&server.url(), ca.unwrap()).await;
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn a_self_signed_certificate_as_ca_file_works_unless_it_is_that_of_an_authority() {
    let server = Sandbox::builder().tls().flawed(Flaw::SelfSigned).start().await.unwrap();
    let mut api = Api::of(server, sandbox::Connector::migrated);
    let ca = file(api.sandbox.certificate_pem().unwrap());
    let mut config = config(&api.sandbox.url(), LONG_TIMEOUT);
    config.ca_file = Some(ca.path().to_owned());
    api.client = Client::new(&config).unwrap();
    api.roll_back().await.unwrap();

    let server = Sandbox::builder().tls().flawed(Flaw::Authority).start().await.unwrap();
    let message = failure(&server.url(), server.certificate_pem().unwrap()).await;
    let words = "the server uses the certificate of an authority as its own, as most self-signed ones are";
    assert!(message.contains(words), "{message}");
}

#[tokio::test]
async fn plain_http_at_a_port_for_https_is_named() {
    let server = Sandbox::builder().start().await.unwrap();
    let ca = Sandbox::builder().tls().start().await.unwrap();
    let message = failure(&server.url().replace("http://", "https://"), ca.ca_pem().unwrap()).await;
    assert!(message.contains("the server does not speak TLS at this port; correct the port"), "{message}");
}

/// Starts a TLS server of OpenSSL with these options. Returns its URL and its certificate.
async fn openssl(options: &[&str]) -> (Process, String, String) {
    let (certificate, key) = (file(""), file(""));
    let path = |file: &tempfile::NamedTempFile| file.path().to_str().unwrap().to_owned();
    let names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"];
    let mut create = Command::new("openssl");
    create.args(["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    create.args(names).args(["-out", &path(&certificate), "-keyout", &path(&key)]);
    let created = create.output().expect("openssl is installed");
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    let mut serve = Command::new("openssl");
    serve.args([
        "s_server",
        "-www",
        "-accept",
        "127.0.0.1:0",
        "-cert",
        &path(&certificate),
        "-key",
        &path(&key),
    ]);
    let (server, mut lines) = spawn_lines({
        serve.args(options);
        serve
    })
    .unwrap();
    loop {
        let line = lines.recv().await.expect("the server says where it listens");
        if let Some(address) = line.strip_prefix("ACCEPT ") {
            let pem = std::fs::read_to_string(certificate.path()).unwrap();
            return (server, format!("https://{address}"), pem);
        }
    }
}

#[tokio::test]
async fn a_server_with_cbc_suites_or_old_versions_only_is_named_with_what_it_must_offer() {
    for options in [
        ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA"],
        ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"],
    ] {
        let (_server, url, pem) = openssl(&options).await;
        let message = failure(&url, &pem).await;
        for word in [
            "accepts no TLS version and cipher suite",
            "ECDHE and AES-GCM",
            "CBC suites alone are not enough",
        ] {
            assert!(message.contains(word), "{options:?}: {message}");
        }
    }
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
    let key = file("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let mut config = config("https://cde.example.com", LONG_TIMEOUT);
    config.ca_file = Some(key.path().to_owned());
    let error = Client::new(&config).unwrap_err().to_string();
    assert!(error.contains("contains a private key and no certificate"), "{error}");
    config.ca_file = Some("/no/such/file".into());
    let error = Client::new(&config).unwrap_err().to_string();
    assert!(error.starts_with("--ca-file /no/such/file cannot be read"), "{error}");
}
