//! What the API server itself rejects, and with which message: bad manifests, and a final outcome that is taken back.

use cde_sandbox::cde::new_id;
use serde_json::{Value, json};

use cde_harness::{Kind, Manifest, TestEnv, from_now, restore, rollback};

/// Returns the valid rollback from which all others are derived.
fn good() -> Manifest {
    rollback("back", new_id(), "main")
}

async fn assert_rejected(env: &TestEnv, cases: impl IntoIterator<Item = (Manifest, &str)>) {
    for (manifest, words) in cases {
        let refusal = env.refusal(&manifest).await;
        assert!(
            refusal.contains(words),
            "{words:?} is not in the refusal of {}:\n{refusal}",
            manifest.yaml()
        );
    }
}

#[tokio::test]
async fn an_invalid_target_is_rejected_with_a_message_that_says_what_to_write() {
    let env = TestEnv::new().await;
    let uuid = "connectorID must be the connector's UUID in lower case, for example";
    let version = "version must be main, latest or a major number as a string";
    let upper = new_id().to_string().to_uppercase();
    let mut cases: Vec<(Manifest, &str)> = Vec::new();
    for bad in
        ["omdb", "", &upper, "497f6eca62764993bfeb53cbbbba6f08", "497f6eca-6276-4993-bfeb-53cbbbba6f08 "]
    {
        cases.push((restore("out", new_id()).spec("connectorID", bad), uuid));
        cases.push((good().spec("connectorID", bad), uuid));
    }
    for bad in ["mainX", "xlatest", "x2", "01", "1.0.5", "-1", "", "Main", "1234567890", "1\n"] {
        cases.push((good().spec("version", bad), version));
    }
    cases.push((good().spec("version", 1), "spec.version: Invalid value: \"integer\""));
    cases.push((good().without("version"), "spec.version: Required value"));
    cases.push((good().without("connectorID"), "spec.connectorID: Required value"));
    cases.push((restore("out", new_id()).without("connectorID"), "spec.connectorID: Required value"));
    assert_rejected(&env, cases).await;
}

#[tokio::test]
async fn a_time_at_each_bound_is_accepted_and_an_unreadable_time_is_rejected() {
    let env = TestEnv::new().await;
    let not_after = "spec.notAfter";
    let mut cases = vec![(good().without("notAfter"), "spec.notAfter: Required value")];
    for bad in [
        "tomorrow",
        "2026-11-30",
        "2026-11-30 00:00:00Z",
        "2026-11-30T00:00:00",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59Z",
        "2026-11-30T00:00:00+99:00",
        "2026-11-30T00:00:00+24:00",
        "2026-11-30T00:00:00+01:60",
        "2026-11-30T00:00:00.1234567890Z",
        "2026-13-30T00:00:00Z",
        "2026-11-30T25:00:00Z",
    ] {
        cases.push((good().spec("notAfter", bad), not_after));
        cases.push((restore("out", new_id()).spec("notAfter", bad), not_after));
    }
    assert_rejected(&env, cases).await;
    let good = ["1970-01-01T00:00:00Z", "9998-12-31T23:59:59.123456789+23:59", "2026-11-30T00:00:00-05:30"];
    for (index, good) in good.into_iter().enumerate() {
        env.apply(&rollback(&format!("at-{index}"), new_id(), "main").spec("notAfter", good)).await;
    }
}

#[tokio::test]
async fn the_other_fields_are_validated() {
    let env = TestEnv::new().await;
    let [deadline, conditions] = ["spec.deadlineSeconds", "preconditions"];
    let cases = [
        (good().spec("deadlineSeconds", 0), deadline),
        (good().spec("deadlineSeconds", -1), deadline),
        (good().spec("deadlineSeconds", 315_360_001), deadline),
        (good().spec("deadlineSeconds", "60"), deadline),
        (restore("out", new_id()).spec("deadlineSeconds", 0), deadline),
        (good().spec("suspend", "yes"), "spec.suspend"),
        (
            good().spec("preconditions", json!({})),
            "preconditions must set at least one of state, executables",
        ),
        (
            good().spec("preconditions", json!({"executables": {}})),
            "executables must set at least one of legacy, production, development",
        ),
        (good().spec("preconditions", json!({"state": ""})), conditions),
        (good().spec("preconditions", json!({"state": "x".repeat(257)})), conditions),
        (good().spec("preconditions", json!({"executables": {"legacy": -1}})), conditions),
        (good().spec("preconditions", json!({"executables": {"legacy": 1_i64 << 53}})), conditions),
        (good().spec("preconditions", json!({"executables": {"production": "25"}})), conditions),
    ];
    assert_rejected(&env, cases).await;
}

#[tokio::test]
async fn an_unknown_field_is_rejected_by_a_strict_apply_and_never_stored() {
    let env = TestEnv::new().await;
    for (kind, manifest) in [(Kind::Rollback, good()), (Kind::Restore, restore("out", new_id()))] {
        let typo = manifest.spec("connectorid", "x").spec("suspended", true);
        let refusal = env.try_kubectl(&["apply", "--validate=strict", "-f", "-"], &typo.yaml()).await;
        let refusal = refusal.expect_err("it is rejected");
        assert!(refusal.contains(r#"unknown field "spec.connectorid""#), "{refusal}");
        assert!(refusal.contains(r#"unknown field "spec.suspended""#), "{refusal}");

        env.kubectl(&["apply", "--validate=ignore", "-f", "-"], &typo.yaml()).await;

        let name = if kind == Kind::Rollback { "back" } else { "out" };
        let stored = env.get(kind, name).await;
        assert_eq!(
            (&stored.0["spec"]["connectorid"], &stored.0["spec"]["suspended"]),
            (&Value::Null, &Value::Null)
        );
    }
}

#[tokio::test]
async fn the_target_of_a_request_is_immutable() {
    let env = TestEnv::new().await;
    env.apply_all([good(), restore("out", new_id())]).await;
    let other = new_id();
    for (short, name, change, field) in [
        ("mrb", "back", json!({"connectorID": other}), "connectorID"),
        ("mrb", "back", json!({"version": "latest"}), "version"),
        ("crst", "out", json!({"connectorID": other}), "connectorID"),
    ] {
        let patch = json!({"spec": change}).to_string();
        let refusal = env.try_kubectl(&["patch", short, name, "--type=merge", "-p", &patch], "").await;
        let expected = format!("{field} is immutable: to change the target, create another object");
        let refusal = refusal.expect_err("it is rejected");
        assert!(refusal.contains(&expected), "{refusal}");
    }
    let allowed = json!({"suspend": true, "deadlineSeconds": 60, "notAfter": from_now(60)});
    for (short, name) in [("mrb", "back"), ("crst", "out")] {
        let patch = json!({"spec": allowed}).to_string();
        env.kubectl(&["patch", short, name, "--type=merge", "-p", &patch], "").await;
    }
}

/// Writes the status of an object as the administrator, without the operator.
async fn write_status(env: &TestEnv, kind: Kind, name: &str, status: Value) -> Result<String, String> {
    let patch = json!({"status": status}).to_string();
    let short = kind.short();
    env.try_kubectl(&["patch", short, name, "--subresource=status", "--type=merge", "-p", &patch], "").await
}

#[tokio::test]
async fn nobody_can_take_back_a_final_outcome() {
    let env = TestEnv::new().await;
    for (kind, manifest) in
        [(Kind::Rollback, rollback("it", new_id(), "main")), (Kind::Restore, restore("it", new_id()))]
    {
        for outcome in ["Succeeded", "Skipped"] {
            env.apply(&manifest).await;
            write_status(&env, kind, "it", json!({"outcome": "Failed"})).await.expect("it is open");
            write_status(&env, kind, "it", json!({"outcome": null})).await.expect("a failure is not final");
            write_status(&env, kind, "it", json!({"outcome": outcome})).await.expect("it is open");
            let other = if outcome == "Skipped" { "Succeeded" } else { "Skipped" };
            let back = [
                json!({"outcome": "Failed"}),
                json!({"outcome": null}),
                json!({"outcome": other}),
                json!(null),
            ];
            for status in back {
                let refusal = write_status(&env, kind, "it", status.clone()).await;
                let refusal = refusal.expect_err("it is rejected");
                assert!(
                    refusal.contains("the outcomes Succeeded and Skipped are final"),
                    "{status}: {refusal}"
                );
            }
            write_status(&env, kind, "it", json!({"state": "built"}))
                .await
                .expect("every other change is accepted");
            env.delete(kind, "it").await;
        }
    }
}

#[tokio::test]
async fn the_number_of_attempts_of_one_request_never_goes_down() {
    let env = TestEnv::new().await;
    for (kind, manifest) in
        [(Kind::Rollback, rollback("it", new_id(), "main")), (Kind::Restore, restore("it", new_id()))]
    {
        env.apply(&manifest).await;
        let operation = |id: &str, attempts: u32| json!({"operation": {"id": id, "attempts": attempts, "backoffStep": 0}});
        write_status(&env, kind, "it", operation("one", 2)).await.expect("it is the first");
        for status in [operation("one", 1), operation("one", 0), json!({"operation": null}), json!(null)] {
            let refusal = write_status(&env, kind, "it", status.clone()).await.expect_err("it is rejected");
            assert!(
                refusal.contains("it must not decrease while status.operation.id is the same"),
                "{status}: {refusal}"
            );
        }
        write_status(&env, kind, "it", operation("one", 3)).await.expect("it goes up");
        write_status(&env, kind, "it", operation("two", 0)).await.expect("it is another request");
    }
}
