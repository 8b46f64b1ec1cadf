//! What kstatus makes of a request, by the library that Flux and Helm wait with.

use std::process::Command;

use cde_sandbox::process;
use serde_json::{Value, json};

use crate::gitops::scene::cases;
use crate::tools::tools;

/// What it is to say.
fn status(what: &str) -> &'static str {
    match what {
        "Restored" | "AlreadyRestored" | "RolledBack" | "Skipped" | "EditedRecord" => "Current",
        "Queued" | "OnHold" | "InProgress" | "Verifying" | "Retrying" | "TokenRejected" | "Suspended"
        | "New" | "EditedFailure" => "InProgress",
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

/// What the library says of each object.
async fn judged(objects: &[&Value]) -> Vec<Value> {
    let done = process::output(Command::new(&tools().await.kstatus), &serde_json::to_vec(objects).unwrap())
        .await
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[tokio::test]
async fn kstatus_sees_each_reason_as_it_is_meant_and_nothing_as_current_that_is_not_done() {
    let cases = cases().await;
    let objects: Vec<&Value> = cases.iter().map(|case| &case.object).collect();
    let told = judged(&objects).await;
    assert_eq!(told.len(), cases.len());
    for (case, told) in cases.iter().zip(told) {
        assert_eq!(told["status"], status(case.what), "{case:#?}: {told}");
    }
}

#[tokio::test]
async fn a_failure_is_told_in_the_operators_words() {
    let failed: Vec<_> = cases().await.iter().filter(|case| status(case.what) == "Failed").collect();
    let objects: Vec<&Value> = failed.iter().map(|case| &case.object).collect();
    for (case, told) in failed.iter().zip(judged(&objects).await) {
        let conditions = case.object["status"]["conditions"].as_array().unwrap();
        let stalled = conditions.iter().find(|condition| condition["type"] == "Stalled").unwrap();
        assert_eq!(told["message"], stalled["message"]);
    }
}

#[tokio::test]
async fn the_library_says_current_of_an_object_that_says_nothing_of_itself() {
    let bare = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "bare", "generation": 1}});
    let told = judged(&[&bare]).await;
    assert_eq!(told[0]["status"], "Current");
}
