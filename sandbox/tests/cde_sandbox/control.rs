//! The control endpoints over HTTP.

use cde_sandbox::cde::{Answered, Connector, CutPoint, Operation, RollbackEffect, Sandbox, new_id};
use serde_json::{Value, json};

use crate::client::{Got, read, rollback, send_with};

async fn control(sandbox: &Sandbox, method: &str, path: &str, body: &Value) -> Got {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    send_with(sandbox, method, &format!("/_sandbox/{path}"), "", &body).await
}

#[tokio::test]
async fn connectors_are_put_listed_settled_and_deleted() {
    let (sandbox, id) = (Sandbox::start().await.unwrap(), new_id());
    let version =
        json!({"version": "1.0.0", "state": "synchronized-to-prod", "production": 25, "legacy": 24});
    let connector = json!({"id": id, "main": 1, "versions": [version], "rollback": "moving"});
    let put = control(&sandbox, "PUT", "connectors", &connector).await;
    assert_eq!((put.status, put.json()), (200, json!({"ids": [id]})));
    assert_eq!(sandbox.get(id).unwrap().rollback, RollbackEffect::Moving);
    assert_eq!(rollback(&sandbox, id).await.status, 200);
    assert_eq!(control(&sandbox, "POST", &format!("connectors/{id}/settle"), &Value::Null).await.status, 200);
    let listed = control(&sandbox, "GET", "connectors", &Value::Null).await.json();
    assert_eq!(listed[0]["versions"][0]["production"], 24);
    assert_eq!(control(&sandbox, "PUT", "connectors", &listed).await.status, 200);
    assert_eq!(control(&sandbox, "DELETE", &format!("connectors/{id}"), &Value::Null).await.status, 200);
    assert_eq!(control(&sandbox, "DELETE", &format!("connectors/{id}"), &Value::Null).await.status, 404);
    assert_eq!(read(&sandbox, id).await.status, 404);
}

#[tokio::test]
async fn faults_are_injected_listed_and_cleared() {
    let (sandbox, id) = (Sandbox::start().await.unwrap(), new_id());
    sandbox.put(Connector::migrated(id));
    let cut = json!({"operation": "rollback", "wire": {"cut": "within-body"}, "after-effect": true});
    let busy = json!({"connector": id, "times": null, "status": 503, "headers": [["retry-after", "1"]]});
    assert_eq!(control(&sandbox, "POST", "faults", &json!([cut, busy])).await.status, 200);
    let listed = control(&sandbox, "GET", "faults", &Value::Null).await.json();
    assert_eq!((listed.as_array().unwrap().len(), &listed[1]["status"]), (2, &json!(503)));
    assert!(!rollback(&sandbox, id).await.complete);
    assert!(read(&sandbox, id).await.head.contains("retry-after: 1"));
    assert_eq!(control(&sandbox, "DELETE", "faults", &Value::Null).await.status, 200);
    assert_eq!(read(&sandbox, id).await.status, 200);
    let answers: Vec<Answered> = sandbox.ledger().calls().iter().map(|call| call.answered).collect();
    let cut = Answered::Cut(CutPoint::WithinBody);
    assert_eq!(answers, [cut, Answered::Status(503), Answered::Status(200)]);
}

#[tokio::test]
async fn an_edit_without_a_value_removes_a_member_and_null_sets_it_to_null() {
    let (sandbox, id) = (Sandbox::start().await.unwrap(), new_id());
    sandbox.put(Connector::migrated(id));
    let edits = json!([{"pointer": "/data/state"}, {"pointer": "/data/name", "value": null}]);
    control(&sandbox, "POST", "faults", &json!({"edits": edits})).await;
    let data = read(&sandbox, id).await.json()["data"].clone();
    assert!(data.get("state").is_none() && data.get("name") == Some(&Value::Null), "{data}");
}

#[tokio::test]
async fn the_ledger_is_served_without_control_calls() {
    let (sandbox, id) = (Sandbox::start().await.unwrap(), new_id());
    sandbox.put(Connector::migrated(id));
    rollback(&sandbox, id).await;
    let ledger = control(&sandbox, "GET", "ledger", &Value::Null).await.json();
    assert_eq!((&ledger["total"], &ledger["effects"][id.to_string()]), (&json!(1), &json!(1)));
    let call = &ledger["calls"][0];
    assert_eq!((&call["operation"], &call["answered"]), (&json!("rollback"), &json!({"status": 200})));
    assert_eq!(sandbox.calls(Operation::Any, id).len(), 1);
}

#[tokio::test]
async fn an_invalid_request_is_rejected_with_the_reason() {
    let sandbox = Sandbox::start().await.unwrap();
    for (method, path, body, status, reason) in [
        ("POST", "faults", json!({"statu": 503}), 400, "statu"),
        ("PUT", "connectors", json!([{"versions": 1}]), 400, "sequence"),
        ("DELETE", "connectors/x", Value::Null, 400, "`x`"),
        ("GET", "elsewhere", Value::Null, 404, "--help"),
    ] {
        let got = control(&sandbox, method, path, &body).await;
        assert_eq!(got.status, status);
        assert!(got.message().contains(reason), "{}", got.message());
    }
}
