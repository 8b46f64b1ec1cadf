//! The kstatus of a request, from the library that Flux and Helm wait with.

use std::process::Command;

use cde_sandbox::process;
use serde_json::{Value, json};

use crate::gitops::cases::cases;
use crate::tools::tools;

/// Returns the expected kstatus.
fn status(what: &str) -> &'static str {
    match what {
        "Restored" | "AlreadyRestored" | "RolledBack" | "Skipped" | "EditedRecord" => "Current",
        "Queued" | "OnHold" | "InProgress" | "Verifying" | "Retrying" | "TokenRejected" | "LoginRequired"
        | "Suspended" | "New" | "EditedFailure" => "InProgress",
        "OperationNotAllowed"
        | "AccessDenied"
        | "NotFound"
        | "RequestRejected"
        | "PreconditionFailed"
        | "Expired"
        | "DeadlineExceeded"
        | "ConfirmedFailed"
        | "OutcomeUnknown" => "Failed",
        "Deleted" | "DeletedRecord" => "Terminating",
        other => panic!("{other} is not in the table"),
    }
}

/// Returns the library's result for each object.
async fn judged(objects: &[&Value]) -> Vec<Value> {
    let done = process::output(Command::new(&tools().await.kstatus), &serde_json::to_vec(objects).unwrap())
        .await
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[tokio::test]
async fn kstatus_shows_each_reason_as_intended_and_only_finished_requests_as_current() {
    let cases = cases().await;
    let objects: Vec<&Value> = cases.iter().map(|case| &case.object).collect();
    let told = judged(&objects).await;
    assert_eq!(told.len(), cases.len());
    for (case, told) in cases.iter().zip(told) {
        assert_eq!(told["status"], status(case.what), "{case:#?}: {told}");
    }
}

#[tokio::test]
async fn a_failure_has_the_message_of_the_operator() {
    let failed: Vec<_> = cases().await.iter().filter(|case| status(case.what) == "Failed").collect();
    let objects: Vec<&Value> = failed.iter().map(|case| &case.object).collect();
    for (case, told) in failed.iter().zip(judged(&objects).await) {
        let conditions = case.object["status"]["conditions"].as_array().unwrap();
        let stalled = conditions.iter().find(|condition| condition["type"] == "Stalled").unwrap();
        assert_eq!(told["message"], stalled["message"]);
    }
}

#[tokio::test]
async fn kstatus_shows_an_object_without_conditions_as_current() {
    let bare = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "bare", "generation": 1}});
    let told = judged(&[&bare]).await;
    assert_eq!(told[0]["status"], "Current");
}
