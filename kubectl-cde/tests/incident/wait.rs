//! `wait`.

use cde_harness::{Kind, LIMIT, rollback};
use cde_sandbox::cde::{HoldPoint, Operation};

use super::fixture::{Incident, run};

#[tokio::test]
async fn the_exit_code_says_how_the_requests_ended() {
    let incident = Incident::new().await;
    for name in ["a", "b"] {
        let connector = incident.migrated(name);
        incident.env.apply(&rollback(name, connector, "main").label("incident", "1")).await;
    }
    let said = incident.ok(&["wait", "-l", "incident=1"]).await;
    assert_eq!(said.matches("RolledBack: Rolled back version 1.0.0").count(), 2, "{said}");
    let failed = incident.failed().await.name;
    let ended = incident.run(&["wait", "a", &failed]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.contains(&format!("mrb/{failed} NotFound: ")), "{ended:?}");
    let unknown = incident.unknown().await;
    assert_eq!(incident.run(&["wait", "a", &failed, &unknown]).await.code, 2);
    let absent = incident.run(&["wait", "absent"]).await;
    assert!(absent.code == 4 && absent.stderr.starts_with("error: there is no request"), "{absent:?}");
}

#[tokio::test]
async fn a_wait_for_suspended_requests_ends_with_the_others() {
    let incident = Incident::new().await;
    for name in ["a", "b"] {
        let connector = incident.migrated(name);
        incident.env.apply(&rollback(name, connector, "main").spec("suspend", true)).await;
        incident.env.wait_for_reason(Kind::Rollback, name, "Suspended").await;
    }
    let namespace = &incident.env.namespace;
    let both = incident.run(&["wait", "a", "b"]).await;
    assert_eq!(both.code, 2, "{both:?}");
    let says = format!(
        "mrb/a, mrb/b are suspended and do not start by themselves: kubectl cde resume mrb/a mrb/b -n {namespace}\n"
    );
    assert_eq!(both.stderr, says);
    assert_eq!(both.stdout.matches(" Suspended: ").count(), 2, "{both:?}");
    // A request that is under way is waited for, and so is one that somebody starts meanwhile.
    let busy = incident.migrated("busy");
    let mut held = incident.env.sandbox.hold(Operation::Rollback, busy, HoldPoint::BeforeEffect);
    incident.env.apply(&rollback("busy", busy, "main")).await;
    held.arrived_within(LIMIT).await.unwrap();
    let going_on = async {
        incident.ok(&["resume", "b"]).await;
        incident.env.wait_for_reason(Kind::Rollback, "b", "RolledBack").await;
        held.release();
    };
    let waiting = incident.run(&["wait", "a", "b", "busy"]);
    let (ended, ()) = tokio::join!(waiting, going_on);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert_eq!(ended.stdout.matches(" RolledBack: ").count(), 2, "{ended:?}");
    assert!(ended.stdout.contains("mrb/a Suspended: "), "{ended:?}");
}

#[tokio::test]
async fn a_wait_ends_with_the_request_and_not_with_the_state_before_a_retry() {
    let mut incident = Incident::new().await;
    let request = incident.failed().await;
    let mut operator = incident.operator.take().unwrap();
    // The retry is not handled before the operator goes on.
    operator.process.signal(cde_sandbox::process::Signal::STOP).unwrap();
    incident.ok(&["retry", &request.name]).await;
    let status = incident.ok(&["status", &request.name]).await;
    assert!(status.starts_with("1 request: 1 waiting"), "{status}");
    let early = incident.run(&["wait", &request.name, "--timeout", "1"]).await;
    assert_eq!(early.code, 3, "{early:?}");
    assert!(early.stderr.contains(&format!("timed out waiting for mrb/{}", request.name)), "{early:?}");
    incident.env.sandbox.put(request.ready_connector());
    let waiting = run(incident.plugin(&["wait", &request.name]), "");
    let going_on = async { operator.process.signal(cde_sandbox::process::Signal::CONT).unwrap() };
    let (ended, ()) = tokio::time::timeout(LIMIT, async { tokio::join!(waiting, going_on) }).await.unwrap();
    assert_eq!(ended.code, 0, "{ended:?}");
    incident.env.wait_for_reason(Kind::Rollback, &request.name, "RolledBack").await;
}
