//! The version that a rollback applies to: `main`, `latest` or a major number, resolved once and pinned.

use cde_sandbox::cde::{Connector, Fault, Operation, Version, new_id};
use serde_json::json;
use uuid::Uuid;

use cde_harness::{Kind, TestEnv, rollback};

/// Returns a version whose migration can be rolled back.
fn migrated(number: &str) -> Version {
    Version::new(number).state("synchronized-to-prod").production(25, 5).legacy(24)
}

fn connector(id: Uuid) -> Connector {
    let versions = ["1.2.0", "1.10.0", "0.9.0", "1.9.0", "2.0.0"].map(migrated);
    let live = versions.into_iter().fold(Connector::live(id).main(1), Connector::version);
    live.version(migrated("3.0.0").deleted())
}

#[tokio::test]
async fn main_latest_and_a_number_resolve_to_the_highest_version_of_one_major() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let cases = [
        ("main", "1", "1.10.0"),
        ("latest", "2", "2.0.0"),
        ("1", "1", "1.10.0"),
        ("0", "0", "0.9.0"),
        ("2", "2", "2.0.0"),
    ];
    let cases = cases.map(|case| (case, new_id()));
    for (_, id) in cases {
        env.sandbox.put(connector(id));
    }
    env.apply_all(cases.map(|((word, ..), id)| rollback(&format!("of-{word}"), id, word))).await;

    for ((word, sent, number), id) in cases {
        let done = env.wait_for_reason(Kind::Rollback, &format!("of-{word}"), "RolledBack").await;
        let major: i64 = sent.parse().expect("a number");
        assert_eq!(done.status()["resolvedVersion"], json!({"major": major, "version": number}), "{word}");
        let calls = env.sandbox.calls(Operation::Rollback, id);
        let words: Vec<_> = calls.iter().filter_map(|call| call.version.as_deref()).collect();
        assert_eq!(words, [sent], "{word}");
        let after = env.sandbox.get(id).expect("the connector");
        let rolled_back = after.versions.iter().find(|version| version.rolled_back == 1).expect("an effect");
        assert_eq!(rolled_back.version, number, "{word}");
    }
}

#[tokio::test]
async fn the_version_stays_pinned_when_main_and_latest_move_between_two_attempts() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let cases = [("main", 423, "1"), ("main", 503, "1"), ("latest", 423, "2"), ("latest", 503, "2")];
    let cases = cases.map(|case| (case, new_id()));
    let name = |word: &str, code: u16| format!("{word}-{code}");
    for ((_, code, _), id) in cases {
        env.sandbox.put(connector(id));
        env.sandbox.inject(Fault::on(Operation::Rollback).connector(id).answer(code));
        // The second attempt must come after the change.
        let moved = Fault::on(Operation::Rollback).connector(id).answer(425).header("retry-after", "2");
        env.sandbox.inject(moved);
    }
    env.apply_all(cases.map(|((word, code, _), id)| rollback(&name(word, code), id, word))).await;
    for ((word, code, _), id) in cases {
        let two = |object: &cde_harness::Object| object.last_error()["code"] == 425;
        env.wait_until(Kind::Rollback, &name(word, code), "waiting for the third attempt", two).await;
        let mut moved = env.sandbox.get(id).expect("the connector").version(migrated("7.0.0"));
        moved.main = Some(7);
        env.sandbox.put(moved);
    }

    for ((word, code, sent), id) in cases {
        let done = env.wait_for_reason(Kind::Rollback, &name(word, code), "RolledBack").await;
        assert_eq!(done.attempts(), 3, "{word} {code}");
        assert_eq!(done.status()["resolvedVersion"]["major"].to_string(), sent, "{word} {code}");
        let calls = env.sandbox.calls(Operation::Rollback, id);
        let words: Vec<_> = calls.iter().filter_map(|call| call.version.as_deref()).collect();
        assert_eq!(words, [sent; 3], "{word} {code}");
        assert_eq!(env.sandbox.effects(id), 1, "{word} {code}");
    }
}

#[tokio::test]
async fn a_missing_version_fails_the_request_before_anything_is_called() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let gone = |id| Connector::live(id).version(migrated("1.0.0").deleted());
    let without_main = |id| Connector { main: None, ..Connector::migrated(id) };
    let cases: [(&str, &str, Connector, &str); 4] = [
        ("no-main", "main", without_main(new_id()), "no main version"),
        ("none-left", "latest", gone(new_id()), "no version that is not deleted"),
        ("no-versions", "latest", Connector::live(new_id()), "no version that is not deleted"),
        ("no-such-major", "9", Connector::migrated(new_id()), "no version 9"),
    ];
    for (_, _, connector, _) in &cases {
        env.sandbox.put(connector.clone());
    }
    env.apply_all(cases.iter().map(|(name, word, connector, _)| rollback(name, connector.id, word))).await;

    for (name, _, connector, words) in &cases {
        let failed = env.wait_for_reason(Kind::Rollback, name, "NotFound").await;
        assert!(failed.message().contains(words), "{name}: {}", failed.message());
        assert_eq!(failed.attempts(), 0, "{name}");
        assert_eq!(env.sandbox.calls(Operation::Changing, connector.id).len(), 0, "{name}");
    }
}

#[tokio::test]
async fn without_a_read_the_version_is_sent_as_given_and_the_returned_one_recorded() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let cases = ["main", "latest", "1"].map(|word| (word, new_id()));
    for (_, id) in cases {
        env.sandbox.put(Connector::migrated(id).reading_forbidden());
    }
    env.apply_all(cases.map(|(word, id)| rollback(&format!("of-{word}"), id, word))).await;

    for (word, id) in cases {
        let done = env.wait_for_reason(Kind::Rollback, &format!("of-{word}"), "RolledBack").await;
        assert_eq!(done.status()["resolvedVersion"], json!({"major": 1, "version": "1.0.0"}), "{word}");
        assert_eq!(done.status()["before"], json!(null), "{word}");
        assert_eq!(done.status()["executables"]["production"], 24, "{word}");
        let calls = env.sandbox.calls(Operation::Rollback, id);
        let words: Vec<_> = calls.iter().filter_map(|call| call.version.as_deref()).collect();
        assert_eq!(words, [word]);
    }
}
