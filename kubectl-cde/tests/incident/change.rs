//! `retry`, `suspend` and `resume`.

use cde_harness::{Kind, rollback};
use cde_sandbox::cde::Connector;

use super::fixture::Incident;

#[tokio::test]
async fn a_failed_request_is_retried_at_once_and_twice_in_a_second() {
    let incident = Incident::new().await;
    let request = incident.failed().await;
    let first = incident.env.get(Kind::Rollback, &request.name).await.request_id().to_owned();
    assert_eq!(incident.ok(&["retry", &request.name]).await, format!("mrb/{} retried\n", request.name));
    let other = |object: &cde_harness::Object| object.request_id() != first && object.outcome().is_some();
    let again = incident.env.wait_until(Kind::Rollback, &request.name, "asked again", other).await;
    assert_eq!(again.reason(), "NotFound");
    // The second retry may come within the same second, and must be later than the first one.
    incident.env.sandbox.put(Connector::migrated(request.id));
    incident.ok(&["retry", &request.name]).await;
    incident.env.wait_for_reason(Kind::Rollback, &request.name, "RolledBack").await;
    let final_ = incident.run(&["retry", &request.name]).await;
    assert_eq!(final_.code, 1, "{final_:?}");
    assert!(final_.stderr.contains("RolledBack is final; create another request"), "{final_:?}");
}

#[tokio::test]
async fn a_retry_leaves_suspended_requests_alone_and_does_not_count_them() {
    let incident = Incident::new().await;
    let failed = incident.failed().await;
    for name in ["a", "b"] {
        let id = incident.migrated(name);
        incident.env.apply(&rollback(name, id, "main").spec("suspend", true)).await;
        incident.env.wait_for_reason(Kind::Rollback, name, "Suspended").await;
    }
    let one = incident.run(&["retry", "a"]).await;
    assert_eq!((one.code, one.stdout.as_str()), (1, ""), "{one:?}");
    let says = "mrb/a is left alone: it is suspended; start it: kubectl cde resume mrb/a -n ";
    assert!(one.stderr.contains(says), "{one:?}");
    // Only one is left, so there is no question.
    let all = incident.run(&["retry", &failed.name, "a", "b"]).await;
    assert_eq!((all.code, all.stdout), (1, format!("mrb/{} retried\n", failed.name)));
}

#[tokio::test]
async fn a_request_whose_window_has_passed_is_retried_with_a_new_window() {
    let incident = Incident::new().await;
    let connector = incident.migrated("shop");
    incident
        .env
        .apply(&rollback("late", connector, "main").spec("notAfter", cde_harness::from_now(-60)))
        .await;
    incident.env.wait_for_reason(Kind::Rollback, "late", "Expired").await;
    let refused = incident.run(&["retry", "late"]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("has passed; move it with --not-after 1h"), "{refused:?}");
    incident.ok(&["retry", "late", "--not-after", "1h"]).await;
    incident.env.wait_for_reason(Kind::Rollback, "late", "RolledBack").await;
}

#[tokio::test]
async fn several_requests_and_unknown_outcomes_need_a_yes() {
    let incident = Incident::new().await;
    let unknown = incident.unknown().await;
    let one = incident.run(&["retry", &unknown]).await;
    assert_eq!(one.code, 2, "{one:?}");
    assert!(one.stderr.contains(&format!("The outcome of mrb/{unknown} is unknown.")), "{one:?}");
    let failed = incident.failed().await;
    let both = incident.run(&["retry", "--field-selector", "status.outcome!="]).await;
    assert_eq!(both.code, 2, "{both:?}");
    assert!(both.stderr.contains("Retry 2 requests? The outcome of 1 of them is unknown"), "{both:?}");
    for name in [&unknown, &failed.name] {
        assert!(incident.env.get(Kind::Rollback, name).await.metadata()["annotations"]["cde.productsup.com/retry"].is_null());
    }
    let said = incident.ok(&["retry", "--reason", "NotFound", "--reason", "OutcomeUnknown", "--yes"]).await;
    assert_eq!(said.lines().count(), 2, "{said}");
    let nothing = incident.run(&["retry"]).await;
    assert!(nothing.code == 2 && nothing.stderr.contains("name the requests"), "{nothing:?}");
}

#[tokio::test]
async fn requests_are_suspended_and_resumed_by_label_and_list() {
    let incident = Incident::new().await;
    let connectors = [incident.migrated("a"), incident.migrated("b")];
    for (name, connector) in ["a", "b"].into_iter().zip(connectors) {
        incident
            .env
            .apply(&rollback(name, connector, "main").spec("suspend", true).label("incident", "1"))
            .await;
        incident.env.wait_for_reason(Kind::Rollback, name, "Suspended").await;
    }
    let twice = incident.run(&["suspend", "-l", "incident=1"]).await;
    assert!(twice.code == 0 && twice.stdout.is_empty(), "{twice:?}");
    assert!(twice.stderr.contains("mrb/a is left alone: it is suspended"), "{twice:?}");
    let resumed =
        incident.run_with(&["resume", "-f", "-", "--yes"], &format!("a\n{} # b\n", connectors[1])).await;
    assert_eq!(resumed.stdout, "mrb/a resumed\nmrb/b resumed\n", "{resumed:?}");
    for name in ["a", "b"] {
        let object = incident.env.wait_for_reason(Kind::Rollback, name, "RolledBack").await;
        assert!(object.0["spec"]["suspend"].is_null());
    }
}

#[tokio::test]
async fn every_command_reads_the_list_that_rollback_reads() {
    let incident = Incident::new().await;
    let (shop, other) = (incident.migrated("shop"), incident.migrated("other"));
    let list = format!("connector;version;name\n{shop};1;shop\n{other};;other\n");
    let made = incident.run_with(&["rollback", "-f", "-", "--suspend"], &list).await;
    assert_eq!(made.code, 0, "{made:?}");
    let failed = incident.failed().await;
    for (args, says) in [
        (&["status", "-f", "-"][..], "2 requests: 2 waiting"),
        (&["resume", "-f", "-", "--yes"], "mrb/rollback-shop-v1-"),
        (&["wait", "-f", "-"], " RolledBack: "),
    ] {
        let ended = incident.run_with(args, &list).await;
        assert!(ended.code == 0 && ended.stdout.contains(says), "{args:?}: {ended:?}");
    }
    let list = format!("id,version\n{},main\n", failed.id);
    let ended = incident.run_with(&["retry", "-f", "-"], &list).await;
    assert_eq!(ended.stdout, format!("mrb/{} retried\n", failed.name), "{ended:?}");
    let absent = incident.run_with(&["wait", "-f", "-"], &format!("id\nabsent\n{shop}\nnone\n")).await;
    assert_eq!(absent.code, 4, "{absent:?}");
    for part in ["-: line 2: there is no request absent in", "; line 4: there is no request none in"] {
        assert!(absent.stderr.contains(part), "{part}: {absent:?}");
    }
}

#[tokio::test]
async fn a_viewer_sees_everything_and_learns_what_is_missing_for_a_change() {
    let mut incident = Incident::new().await;
    let request = incident.failed().await;
    incident.kubeconfig = incident.account("viewer", "cde-operator-view").await;
    for args in [&["status"][..], &["describe", &request.name], &["status", "-o", "wide"]] {
        assert!(incident.ok(args).await.contains(&request.name));
    }
    assert_eq!(incident.run(&["wait", &request.name]).await.code, 1);
    let ended = incident.run(&["retry", &request.name]).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    let says = format!("you may not patch migrationrollbacks {} in the namespace", request.name);
    assert!(ended.stderr.contains(&says), "{ended:?}");
}
