//! What the check finds about the configuration and the CDE API.

use cde_sandbox::cde::{Connector, Fault, Operation, new_id};

use crate::check::fixture::{Check, message, operator, verdicts};

#[tokio::test]
async fn one_read_shows_that_the_api_responds_and_accepts_the_token() {
    let check = Check::run_as(&operator().await).await;
    assert_eq!(check.run().await.status.code(), Some(0));
    let ledger = check.cde.ledger();
    assert_eq!(ledger.total(), 1, "{ledger}");
    assert_eq!(ledger.calls()[0].operation, Some(Operation::Read));
    assert_eq!(ledger.all_effects(), 0);
}

#[tokio::test]
async fn a_named_connector_is_read_or_the_check_explains_why_not() {
    let kubeconfig = operator().await;
    let (mine, hidden) = (new_id(), new_id());
    for (connector, verdict) in [(mine, "ok"), (hidden, "failed"), (new_id(), "failed")] {
        let check = Check::run_as(&kubeconfig).await.flag(format!("--connector={connector}"));
        check.cde.put(Connector::live(mine));
        check.cde.put(Connector::live(hidden).reading_forbidden());
        let (findings, _) = check.findings().await;
        assert_eq!(verdicts(&findings, "cde"), [verdict], "{findings:#?}");
        assert!(message(&findings, "cde").contains(&connector.to_string()));
    }
}

#[tokio::test]
async fn a_rejected_token_is_a_failure_and_is_not_shown() {
    let check = Check::run_as(&operator().await).await;
    let token = check.cde.token();
    check.cde.set_token("another");
    let output = check.run().await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(said.contains("rejects the token (401"), "{said}");
    assert!(!said.contains(&token), "{said}");
}

#[tokio::test]
async fn a_gateway_and_a_failing_api_are_failures() {
    let kubeconfig = operator().await;
    for (fault, part) in [
        (Fault::on(Operation::Read).answer(404).html(), "check --url"),
        (Fault::on(Operation::Read).answer(503).html(), "503"),
        (Fault::on(Operation::Read).hang(), "no response within 500ms"),
    ] {
        let check = Check::run_as(&kubeconfig).await.flag("--timeout=500ms");
        check.cde.inject(fault.always());
        let (findings, code) = check.findings().await;
        assert_eq!(code, 1);
        assert_eq!(verdicts(&findings, "cde"), ["failed"]);
        assert!(message(&findings, "cde").contains(part), "{findings:#?}");
    }
}

#[tokio::test]
async fn bad_configuration_is_reported_as_by_run_and_kubernetes_is_checked_anyway() {
    let check = Check::run_as(&operator().await).await.flag("--retry-min=10m");
    let (findings, code) = check.findings().await;
    assert_eq!(code, 1);
    assert!(message(&findings, "configuration").contains("--retry-min is longer than --retry-max"));
    assert_eq!(verdicts(&findings, "cde"), ["skipped"]);
    assert_eq!(verdicts(&findings, "crds"), ["ok"]);
}
