//! Argo CD's health of a request, from the scripts that `deploy/argocd` installs.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::gitops::cases::{BOTH, Case, cases};
use crate::gitops::kept::{example, file, keep, text, yaml};
use crate::gitops::lua::run;
use cde_harness::Object;

const UNSEEN: &str = "Waiting for cde-operator to see the request";
const DELETED: &str = "The request is being deleted";

/// Returns the expected health status.
fn status(what: &str) -> &'static str {
    match what {
        "Restored" | "AlreadyRestored" | "RolledBack" | "Skipped" | "EditedRecord" => "Healthy",
        "Queued" | "OnHold" | "InProgress" | "Verifying" | "Retrying" | "TokenRejected" | "LoginRequired"
        | "New" | "Deleted" | "DeletedRecord" | "EditedFailure" => "Progressing",
        "Suspended" => "Suspended",
        "OperationNotAllowed"
        | "AccessDenied"
        | "NotFound"
        | "RequestRejected"
        | "PreconditionFailed"
        | "Expired"
        | "DeadlineExceeded"
        | "ConfirmedFailed"
        | "OutcomeUnknown" => "Degraded",
        other => panic!("{other} is not in the table"),
    }
}

/// Returns the whole result: the status, and the operator's message if it is current.
fn expected(case: &Case, object: &Value) -> Value {
    let message = match case.what {
        "New" | "EditedFailure" => UNSEEN.to_owned(),
        "Deleted" | "DeletedRecord" => DELETED.to_owned(),
        _ => Object(object.clone()).message().to_owned(),
    };
    json!({"status": status(case.what), "message": message})
}

#[tokio::test]
async fn argo_cd_shows_each_reason_with_its_health_and_the_message_of_the_operator() {
    for case in cases().await {
        let told = run(&text(case.kind, "health.lua"), &case.object);
        assert_eq!(told, expected(case, &case.object), "{case:#?}");
    }
}

#[tokio::test]
async fn there_is_a_case_for_every_reason_in_the_crds() {
    let seen: BTreeSet<&str> =
        cases().await.iter().filter_map(|case| case.object["status"]["reason"].as_str()).collect();
    let mut known = BTreeSet::new();
    for crd in cde_operator::api::crds() {
        let crd = serde_json::to_value(crd).unwrap();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let reasons = schema["properties"]["status"]["properties"]["reason"]["enum"].as_array().unwrap();
        known.extend(reasons.iter().map(|reason| reason.as_str().unwrap().to_owned()));
    }
    assert_eq!(seen.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), known);
}

#[test]
fn an_object_without_any_status_is_not_healthy() {
    for kind in BOTH {
        for object in [
            json!({"metadata": {"generation": 1}, "spec": {}}),
            json!({"metadata": {"generation": 1}, "spec": {}, "status": {}}),
            json!({"metadata": {"generation": 1}, "spec": {}, "status": {"outcome": "Succeeded"}}),
        ] {
            let told = run(&text(kind, "health.lua"), &object);
            assert_eq!(told, json!({"status": "Progressing", "message": UNSEEN}), "{object}");
        }
    }
}

#[tokio::test]
async fn the_table_for_the_tests_of_argo_cd_has_every_case_and_is_correct() {
    for kind in BOTH {
        let mut tests = Vec::new();
        for case in cases().await.iter().filter(|case| case.kind == kind) {
            let kept = example(case);
            tests.push(json!({"healthStatus": expected(case, &kept), "inputPath": file(case)}));
        }
        keep(kind, "health_test.yaml", &json!({"tests": tests}));
        for test in yaml(kind, "health_test.yaml")["tests"].as_array().unwrap() {
            let told = run(&text(kind, "health.lua"), &yaml(kind, test["inputPath"].as_str().unwrap()));
            assert_eq!(told, test["healthStatus"], "{test}");
        }
    }
}

#[test]
fn both_kinds_have_the_same_scripts() {
    let [restore, rollback] = BOTH;
    for file in [
        "health.lua",
        "actions/action_test.yaml",
        "actions/discovery.lua",
        "actions/retry/action.lua",
        "actions/suspend/action.lua",
        "actions/resume/action.lua",
    ] {
        assert_eq!(text(restore, file), text(rollback, file), "{file}");
    }
}
