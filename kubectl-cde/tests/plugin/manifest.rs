//! `kubectl cde login --print`.

use std::collections::BTreeMap;

use cde_operator::oauth::{Claim, Login, key};
use cde_sandbox::authorization_server::Options;

use super::fixture::{Person, Waiting, tokens};

#[tokio::test]
async fn a_printed_manifest_can_be_applied_and_nothing_is_written_before() {
    let person = Person::with_verbs(&["list"]).await;
    let ended = person.logged_in(&["--print"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(person.secret().await.is_none());
    let apply = ["apply", "--server-side", "-f", "-"];
    person.control_plane.kubectl_ok(&apply, &ended.stdout).await.unwrap();
    let stored = person.stored().await;
    assert!(person.server.is_active(&stored[key::ACCESS_TOKEN]).await.unwrap());
    let label = person.secret().await.unwrap().metadata.labels.unwrap();
    assert_eq!(label["app.kubernetes.io/managed-by"], "cde-operator");
}

#[tokio::test]
async fn a_manifest_needs_no_cluster_if_flags_say_everything() {
    let person = Person::new().await;
    let mut command = person.login(&["--print"]);
    command.env("KUBECONFIG", "/no/such/kubeconfig");
    let mut waiting = Waiting::start(command).await;
    let redirect = person.server.log_in(&waiting.url).await.unwrap();
    waiting.paste(redirect.as_str()).await;
    let ended = waiting.end().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains(&format!("namespace: {}", person.namespace)), "{}", ended.stdout.len());
}

/// The operator's fields conflict with an apply, and an apply removes no key that the manifest lacks.
#[tokio::test]
async fn a_printed_manifest_replaces_a_login_with_its_claim_and_its_end() {
    let person = Person::new().await;
    person.server.set(Options::default().without("expires_in")).await.unwrap();
    let claim = Some(Claim { holder: "pod-1".to_owned(), until: jiff::Timestamp::now() });
    person.store(&Login { claim, ..tokens("access-1", "refresh-1", 60) }).await;
    let ended = person.logged_in(&["--print"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let apply = ["apply", "--server-side", "-f", "-"];
    let refused = person.control_plane.kubectl_ok(&apply, &ended.stdout).await.unwrap_err().to_string();
    assert!(refused.contains("conflict") && refused.contains("--force-conflicts"), "{refused}");
    assert_eq!(person.stored().await[key::ACCESS_TOKEN], "access-1");

    let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    person.control_plane.kubectl_ok(&apply, &ended.stdout).await.unwrap();

    let login = Login::read(&person.secret().await.unwrap().data.unwrap());
    assert!(login.claim.is_none() && login.expires_at.is_none(), "{login:?}");
    let stored = person.stored().await;
    assert!(person.server.is_active(&stored[key::ACCESS_TOKEN]).await.unwrap());
    // Not even kubectl keeps a second copy of the tokens.
    let annotations: BTreeMap<_, _> = person.secret().await.unwrap().metadata.annotations.unwrap_or_default();
    assert!(annotations.is_empty(), "{annotations:?}");
}
