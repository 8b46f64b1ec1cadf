//! `confirm`.

use cde_harness::Kind;

use super::fixture::Incident;
use super::terminal::Terminal;

#[tokio::test]
async fn a_person_records_what_the_cde_shows_after_seeing_the_evidence() {
    let incident = Incident::new().await;
    let name = incident.unknown().await;
    let refused = incident.run(&["confirm", &name, "--succeeded"]).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("say so with --yes"), "{refused:?}");
    let mut terminal = Terminal::start(incident.plugin(&["confirm", &name, "--succeeded"]));
    let seen = terminal.until("do you confirm that it had its effect? [y/N] ").await;
    assert!(seen.contains("Before the attempt: state synchronized-to-prod"), "{seen}");
    terminal.types("yes");
    let (seen, status) = terminal.end().await;
    assert!(status.success(), "{seen}");
    let object = incident.env.wait_for_reason(Kind::Rollback, &name, "RolledBack").await;
    assert_eq!(object.operation()["evidence"], "Confirmed");
    let again = incident.run(&["confirm", &name, "--failed", "--yes"]).await;
    assert_eq!(again.code, 1, "{again:?}");
    assert!(
        again.stderr.contains("is not unknown (RolledBack), so there is nothing to confirm"),
        "{again:?}"
    );
}

#[tokio::test]
async fn a_request_without_effect_is_confirmed_as_failed() {
    let incident = Incident::new().await;
    let name = incident.unknown().await;
    let neither = incident.run(&["confirm", &name]).await;
    assert!(neither.code == 2 && neither.stderr.contains("--succeeded|--failed"), "{neither:?}");
    assert_eq!(incident.run(&["confirm", &name, "--failed", "--yes"]).await.code, 0);
    incident.env.wait_for_reason(Kind::Rollback, &name, "ConfirmedFailed").await;
    let status = incident.ok(&["status"]).await;
    assert!(status.starts_with("1 request: 1 done\n"), "{status}");
}

#[tokio::test]
async fn a_program_gets_no_colors_on_standard_error() {
    let incident = Incident::new().await;
    let name = incident.unknown().await;
    let ended = incident.run(&["confirm", &name, "--failed"]).await;
    assert!(ended.stderr.contains("Asked:") && !ended.stderr.contains('\u{1b}'), "{ended:?}");
}
