//! Of several namespaces some cannot be listed. They are named and do not delay the others.

use cde_sandbox::proxy::Proxy;
use serde_json::Value;

use super::{Account, namespaces, other_namespace, until_metric, until_readyz, until_warned};
use crate::faults::request::{all_succeed_once, apply, both, ended};
use cde_harness::{Flags, Operator, TestEnv, command};

const KINDS: [&str; 2] = ["ConnectorRestore", "MigrationRollback"];

/// Waits until the metric says for both kinds whether the namespace is watched.
async fn watch_is_up(operator: &mut Operator, place: &TestEnv, up: bool) {
    for kind in KINDS {
        let labels = [("kind", kind), ("namespace", place.namespace.as_str())];
        until_metric(operator, "cde_operator_watch_up", &labels, f64::from(u8::from(up))).await;
    }
}

/// Checks that new requests of both kinds are carried out there.
async fn works(place: &TestEnv, name: &str) {
    let requests = both(&place.sandbox, name);
    apply(place, &requests).await;
    all_succeed_once(place, &requests).await;
}

/// Fault 41: from the start.
#[tokio::test]
async fn namespaces_that_cannot_be_listed_are_named_and_delay_no_other() {
    let here = TestEnv::new().await;
    let there = other_namespace(&here).await;
    let account = Account::new(&here).await;
    let flags = Flags::default().with("--namespaces", &namespaces(&[&there, &here])).without_readiness_wait();
    let mut operator = here.start_as(&account.kubeconfig(None).await, flags).await;
    until_readyz(&mut operator, 503, "which ones", |body| {
        body.contains(&here.namespace) && body.contains(&there.namespace)
    })
    .await;

    account.bind(&here).await;

    until_readyz(&mut operator, 200, "which one alone", |body| {
        body.contains(&there.namespace) && !body.contains(&here.namespace)
    })
    .await;
    let late = both(&there.sandbox, "late");
    apply(&there, &late).await;
    works(&here, "here").await;
    watch_is_up(&mut operator, &here, true).await;
    watch_is_up(&mut operator, &there, false).await;
    until_warned(&operator, &[&there.namespace, "watch"]).await;
    assert_eq!(operator.probe("/livez").await.unwrap().0, 200);

    account.bind(&there).await;

    all_succeed_once(&there, &late).await;
    watch_is_up(&mut operator, &there, true).await;
    until_readyz(&mut operator, 200, "nothing more", |body| !body.contains(&there.namespace)).await;
}

/// Fault 41: while it runs, and after a restart.
#[tokio::test]
async fn a_namespace_that_loses_its_permissions_is_named_and_delays_no_other() {
    let here = TestEnv::new().await;
    let there = other_namespace(&here).await;
    let proxy = Proxy::start(&here.control_plane).await.unwrap();
    let account = Account::new(&here).await;
    account.bind(&here).await;
    account.bind(&there).await;
    let kubeconfig = account.kubeconfig(Some(&proxy)).await;
    let flags = Flags::default().with("--namespaces", &namespaces(&[&there, &here]));
    let mut first = here.start_as(&kubeconfig, flags.clone()).await;
    works(&there, "before").await;

    account.unbind(&there).await;
    proxy.cut_watches();

    watch_is_up(&mut first, &there, false).await;
    until_warned(&first, &[&there.namespace, "watch"]).await;
    until_readyz(&mut first, 200, "which one", |body| body.contains(&there.namespace)).await;
    works(&here, "running").await;
    assert_eq!(first.terminate().await, Some(0));

    let mut second = here.start_as(&kubeconfig, flags).await;

    works(&here, "restarted").await;
    watch_is_up(&mut second, &there, false).await;
    let late = both(&there.sandbox, "late");
    apply(&there, &late).await;
    account.bind(&there).await;
    all_succeed_once(&there, &late).await;
    watch_is_up(&mut second, &there, true).await;
}

/// Fault 41.
#[tokio::test]
async fn the_preflight_check_names_the_namespace_that_cannot_be_listed() {
    let here = TestEnv::new().await;
    let there = other_namespace(&here).await;
    let account = Account::new(&here).await;
    account.bind(&here).await;
    let mut command = command(&account.kubeconfig(None).await);
    command
        .args(["check", "--output=json", "--namespaces", &namespaces(&[&here, &there])])
        .env("CDE_URL", here.sandbox.url())
        .env("CDE_TOKEN_FILE", here.token_file());

    let output = ended(command).await;

    assert_eq!(output.status.code(), Some(1));
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    for plural in ["connectorrestores", "migrationrollbacks"] {
        let verdicts = |place: &TestEnv| -> Vec<&Value> {
            let about = format!("list {plural} in namespace {}", place.namespace);
            let of = findings.iter().filter(|one| one["message"].as_str().unwrap().starts_with(&about));
            of.map(|one| &one["verdict"]).collect()
        };
        assert_eq!((verdicts(&here), verdicts(&there)), (vec![&"ok".into()], vec![&"failed".into()]));
    }
}
