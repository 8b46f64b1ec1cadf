//! Which servers the operator trusts: only those with a valid certificate of a configured authority.

use std::time::Duration;

use cde_operator::cde::model::{Call, CallId, FailureKind};
use cde_operator::cde::{BaseUrl, Client, ClientConfig, TokenFile};
use cde_sandbox::cde::{Connector, Flaw, Operation, Sandbox, new_id};

use cde_harness::{Flags, Kind, Request, TestEnv};

/// Variables that turn verification off, or export keys, in other tools.
const OFF_SWITCHES: [(&str, &str); 16] = [
    ("NODE_TLS_REJECT_UNAUTHORIZED", "0"),
    ("PYTHONHTTPSVERIFY", "0"),
    ("GIT_SSL_NO_VERIFY", "1"),
    ("CURL_INSECURE", "1"),
    ("SSL_VERIFY", "false"),
    ("SSL_NO_VERIFY", "1"),
    ("TLS_SKIP_VERIFY", "true"),
    ("INSECURE_SKIP_TLS_VERIFY", "true"),
    ("VAULT_SKIP_VERIFY", "true"),
    ("CONSUL_HTTP_SSL_VERIFY", "false"),
    ("ARGOCD_OPTS", "--insecure"),
    ("CDE_INSECURE", "true"),
    ("CDE_SKIP_TLS_VERIFY", "true"),
    ("CDE_ALLOW_HTTP", "true"),
    ("PERL_LWP_SSL_VERIFY_HOSTNAME", "0"),
    ("GODEBUG", "x509ignoreCN=0"),
];

/// Fault 31.
#[tokio::test]
async fn a_certificate_with_any_flaw_is_rejected_before_anything_is_sent() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let flaws =
        [Flaw::Expired, Flaw::NotYetValid, Flaw::OtherHost, Flaw::NoAlternativeName, Flaw::SelfSigned];
    for flaw in [None].into_iter().chain(flaws.map(Some)) {
        let builder = Sandbox::builder().tls();
        let builder = if let Some(flaw) = flaw { builder.flawed(flaw) } else { builder };
        let sandbox = builder.start().await.unwrap();
        let [ca, token] = [sandbox.ca_pem().unwrap(), &sandbox.token()].map(|content| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), content).unwrap();
            file
        });
        let client = Client::new(&ClientConfig {
            base: BaseUrl::parse(&sandbox.url(), false).unwrap(),
            timeout: Duration::from_secs(20),
            ca_file: Some(ca.path().to_owned()),
            user_agent: "auditor".to_owned(),
        });
        let (client, token) = (client.unwrap(), TokenFile::open(token.path()).unwrap().current());
        let id = new_id();
        sandbox.put(Connector::migrated(id));
        let call = Call::RollBackMigration { connector: id.to_string(), version: "main".to_owned() };
        let called = client.send(&call, &CallId { operation: "o".to_owned(), attempt: 1 }, &token).await;

        let Some(flaw) = flaw else {
            assert!(called.is_ok(), "without a flaw it is trusted: {called:?}");
            continue;
        };
        let failure = called.unwrap_err();
        assert_eq!(failure.kind, FailureKind::NotSent, "{flaw:?}: {failure:?}");
        assert!(failure.message.to_lowercase().contains("certificate"), "{flaw:?}: {failure:?}");
        assert_eq!(sandbox.ledger().total(), 0, "{flaw:?}");
    }
}

/// Fault 31: the test of all flags in `tests/e2e/faults/configuration.rs` shows that no flag turns verification off
/// either.
#[tokio::test]
async fn no_environment_variable_makes_an_unknown_authority_trusted() {
    let mut env = TestEnv::new().await;
    env.sandbox = Sandbox::builder().tls().token(env.sandbox.token()).start().await.unwrap();
    let keys = env.scratch.path().join("keys");
    let flags =
        OFF_SWITCHES.into_iter().fold(Flags::fast_retries(), |flags, (name, value)| flags.env(name, value));
    let mut operator = env.start(flags.env("SSLKEYLOGFILE", keys.to_str().unwrap())).await;
    let requests = [Kind::Restore, Kind::Rollback].map(|kind| Request::new(kind, "refused"));
    for request in &requests {
        env.sandbox.put(request.ready_connector());
        env.apply(&request.manifest()).await;
    }
    for request in &requests {
        let waiting = env.wait_for(request, "Retrying").await;
        assert!(waiting.message().to_lowercase().contains("certificate"), "{waiting:#?}");
        assert_eq!(env.sandbox.calls(Operation::Any, request.id).len(), 0);
    }
    assert!(operator.probe("/livez").await.is_some_and(|(code, _)| code == 200));
    assert!(!keys.exists(), "the keys of its connections were written to a file");
}
