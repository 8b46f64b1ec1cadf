//! The log at the level `info`: a line for each transition, and nothing else.

use cde_sandbox::cde::{Fault, Operation};
use serde_json::Value;

use crate::monitoring::fixture::{a_restore, a_rollback, fast_retries};
use crate::monitoring::repository::{field, text};
use crate::tools::{test_env, with_operator};
use cde_harness::{Kind, Operator};

/// Returns each log line about this object. A line that is not a JSON object fails the test.
fn lines(operator: &Operator, namespace: &str, name: &str) -> Vec<Value> {
    let log = operator.log();
    let lines =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    lines.filter(|line: &Value| line["namespace"] == namespace && line["name"] == name).collect()
}

/// Returns the operation and the attempt of a line.
fn place(line: &Value) -> (String, u64) {
    (field(line, "operation").to_owned(), line["attempt"].as_u64().unwrap())
}

#[tokio::test]
async fn a_smooth_request_is_one_log_line_with_the_object_the_result_and_the_attempt() {
    let (env, operator) = with_operator().await;
    let begun = operator.log().lines().count();
    let requests: Vec<_> = (0..3)
        .flat_map(|number| {
            let (back, populate) = (format!("back-{number}"), format!("populate-{number}"));
            [
                (Kind::Rollback, "RolledBack", a_rollback(&env.sandbox, &back).0, back),
                (Kind::Restore, "Restored", a_restore(&env.sandbox, &populate).0, populate),
            ]
        })
        .collect();
    env.apply_all(requests.iter().map(|(_, _, manifest, _)| manifest.clone())).await;
    for (kind, reason, _, name) in &requests {
        let object = env.wait_for_reason(*kind, name, reason).await;
        let id = object.operation()["id"].as_str().unwrap().to_owned();
        operator.wait_for_log(&id).await;
        let lines = lines(&operator, &env.namespace, name);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        let line = &lines[0];
        assert_eq!((field(line, "level"), field(line, "reason")), ("INFO", *reason), "{line}");
        let named = if *kind == Kind::Rollback { "MigrationRollback" } else { "ConnectorRestore" };
        assert_eq!(field(line, "kind"), named, "{line}");
        assert_eq!(field(line, "message"), object.message(), "{line}");
        assert_eq!(place(line), (id, 1), "{line}");
    }
    let all = operator.log();
    assert_eq!(all.lines().count(), begun + requests.len(), "{all}");
}

#[tokio::test]
async fn each_failed_call_the_first_wait_and_the_end_are_one_log_line_each() {
    let env = test_env().await;
    let operator = env.start(fast_retries()).await;
    let (back, id) = a_rollback(&env.sandbox, "struck");
    env.sandbox.inject(Fault::on(Operation::Changing).connector(id).answer(423).times(3));
    env.apply(&back).await;
    env.wait_for_reason(Kind::Rollback, "struck", "RolledBack").await;
    operator.wait_for_log("Rolled back version").await;

    let lines = lines(&operator, &env.namespace, "struck");

    let told: Vec<(&str, Option<u64>, u64)> =
        lines.iter().map(|line| (field(line, "reason"), line["code"].as_u64(), place(line).1)).collect();
    let failed = |attempt| ("", Some(423), attempt);
    assert_eq!(
        told,
        [failed(1), ("Retrying", None, 1), failed(2), failed(3), ("RolledBack", None, 4)],
        "{lines:#?}"
    );
}

#[tokio::test]
async fn the_log_line_in_the_documentation_has_the_fields_of_a_real_one() {
    let (env, operator) = with_operator().await;
    env.apply(&a_rollback(&env.sandbox, "back").0).await;
    let line = operator.wait_for_log("Rolled back version").await;
    let documented = text("docs/observability.md");
    let documented = documented.split("```json\n").nth(1).unwrap().split("\n```").next().unwrap();
    assert_eq!(
        shape(&serde_json::from_str(documented).unwrap()),
        shape(&serde_json::from_str(&line).unwrap())
    );
}

/// Returns a value without its texts and numbers.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), shape(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(shape).collect()),
        Value::String(_) => "text".into(),
        other => other.is_number().into(),
    }
}
