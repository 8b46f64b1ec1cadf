//! Successes whose response is lost or differs from the documentation.

use cde_sandbox::cde::CutPoint::{AfterHeaders, WithinBody};
use cde_sandbox::cde::{Fault, Operation};
use serde_json::Value;

use cde_harness::{Kind, Request, TestEnv};

/// Returns every way in which the response of a success can be unreadable.
fn unreadable_responses() -> Vec<(&'static str, Fault)> {
    let fault = || Fault::on(Operation::Changing);
    vec![
        ("cut-before-body", fault().cut(AfterHeaders)),
        ("cut-within-body", fault().cut(WithinBody)),
        ("empty", fault().empty()),
        ("html", fault().html()),
        ("half", fault().truncated_json()),
        ("not-utf8", fault().broken_utf8()),
        ("huge", fault().huge(9 << 20)),
        ("no-data", fault().without_data()),
        ("odd-data", fault().data_not_an_object()),
        ("no-content", fault().answer(204).empty()),
    ]
}

/// Faults 23 and 25.
#[tokio::test]
async fn an_unreadable_success_is_verified_by_reading_the_connector() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let mut cases = Vec::new();
    for kind in [Kind::Restore, Kind::Rollback] {
        cases.extend(
            unreadable_responses()
                .into_iter()
                .map(|(what, fault)| env.request(kind, what, fault.after_effect())),
        );
    }
    env.apply_all(cases.iter().map(Request::manifest)).await;

    for case in &cases {
        let done = env.wait_for(case, case.success()).await;
        assert_eq!(done.operation()["evidence"], case.observed(), "{}", case.name);
        assert_eq!(done.attempts(), 1, "{}", case.name);
        assert!(done.status()["state"].is_string(), "{}", case.name);
        assert_eq!(env.sandbox.effects(case.id), 1, "{}", case.name);
        assert_eq!(env.attempts(case).len(), 1, "{}", case.name);
    }
}

/// Faults 23 and 25.
#[tokio::test]
async fn an_unreadable_success_is_accepted_if_reading_is_refused() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let mut cases = Vec::new();
    for kind in [Kind::Restore, Kind::Rollback] {
        for (what, fault) in unreadable_responses() {
            let request = env.request(kind, what, fault.after_effect());
            env.sandbox.put(request.ready_connector().reading_forbidden());
            cases.push(request);
        }
    }
    env.apply_all(cases.iter().map(Request::manifest)).await;

    for case in &cases {
        let done = env.wait_for(case, case.success()).await;
        assert_eq!(done.operation()["evidence"], "Response", "{}", case.name);
        assert_eq!(done.attempts(), 1, "{}", case.name);
        for field in ["state", "connector", "versions", "executables", "resolvedVersion"] {
            assert_eq!(done.status()[field], Value::Null, "{field} of {}", case.name);
        }
        assert_eq!(env.attempts(case).len(), 1, "{}", case.name);
    }
}

/// Fault 25.
#[tokio::test]
async fn a_success_with_missing_or_invalid_fields_gets_a_warning() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let fault = || Fault::on(Operation::Changing);
    let mut cases = Vec::new();
    for kind in [Kind::Restore, Kind::Rollback] {
        let missing = fault().without(match kind {
            Kind::Restore => "/data/versions/0/state",
            Kind::Rollback => "/data/state",
        });
        cases.push((env.request(kind, "odd", fault().wrong_types().after_effect()), true));
        cases.push((env.request(kind, "missing", missing.after_effect()), false));
    }
    env.apply_all(cases.iter().map(|(case, _)| case.manifest())).await;

    for (case, odd) in &cases {
        let done = env.wait_for(case, case.success()).await;
        assert_eq!(done.operation()["evidence"], "Response", "{}", case.name);
        assert_eq!(done.status()["state"], Value::Null, "{}", case.name);
        if *odd {
            assert_eq!(done.status()["versions"], Value::Null, "{}", case.name);
            assert_eq!(done.status()["executables"]["production"], Value::Null, "{}", case.name);
        } else if case.kind == Kind::Rollback {
            assert_eq!(done.status()["executables"]["production"], 24, "{}", case.name);
        } else {
            assert_eq!(done.status()["versions"][0]["version"], "1.0.0", "{}", case.name);
        }
        assert_eq!(env.attempts(case).len(), 1, "{}", case.name);
        let events = env.until_events(&case.name, 1).await;
        assert_eq!(
            (events[0].0.as_str(), events[0].1.as_str()),
            ("Warning", "IncompleteResponse"),
            "{events:?}"
        );
        assert!(events[0].2.contains("state") || *odd, "{events:?}");
    }
}
