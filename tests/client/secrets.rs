//! The token: which one a call used, and that it is never shown.

use cde_operator::cde::model::FailureKind;
use cde_sandbox::cde::{CutPoint, Fault, Operation, Sandbox};

use crate::fixture::{Api, from_api};

const CANARY: &str = "canary-7f3a";

#[tokio::test]
async fn a_replaced_token_is_used_after_the_next_read_and_is_recognized_as_new() {
    let api = Api::migrated().await;
    let refused = api.tokens.current();
    api.sandbox.set_token("the-next-token");
    assert_eq!(api.failed_rollback().await.kind, from_api(401));
    assert!(!api.tokens.reload(), "the new token is not written yet");

    std::fs::write(api.token_file.path(), "the-next-token\n").unwrap();
    assert!(api.tokens.reload());
    assert!(api.tokens.current().generation() > refused.generation());
    api.roll_back().await.unwrap();
    assert_eq!(api.sandbox.effects(api.id), 1);
}

#[tokio::test]
async fn the_token_is_in_no_message_and_no_debug_output() {
    let echo =
        format!(r#"{{"message": "Bearer {CANARY} is bad\u0000", "errors": {{"{CANARY}": "{CANARY}"}}}}"#);
    let at = || Fault::on(Operation::Any);
    for fault in [
        at().answer(401).body(&echo),
        at().answer(400).body(&echo),
        at().answer(503).body(&echo),
        at().body(&echo),
        at().body(CANARY),
        at().answer(404).body(CANARY),
        at().redirect(format!("http://{CANARY}@127.0.0.1/{CANARY}")),
        at().cut(CutPoint::BeforeHeaders),
        at().cut(CutPoint::WithinBody),
    ] {
        let sandbox = Sandbox::builder().token(CANARY).start().await.unwrap();
        let api = Api::of(sandbox, cde_sandbox::cde::Connector::migrated).with(fault);
        let failure = api.failed_rollback().await;
        let shown = format!("{failure:?} {:?} {:?} {:?}", api.client, api.tokens, api.tokens.current());
        assert!(!shown.contains(CANARY), "{shown}");
        api.sandbox.down().await;
        let failure = api.roll_back().await.unwrap_err();
        assert!(!format!("{failure:?}").contains(CANARY), "{failure:?}");
    }
}

#[tokio::test]
async fn a_message_has_no_control_characters() {
    let api = Api::migrated().await.with(Fault::on(Operation::Any).answer(400).control_characters());
    let failure = api.failed_rollback().await;
    assert_eq!(failure.kind, FailureKind::Status { code: 400, from_api: true });
    assert!(!failure.message.chars().any(char::is_control), "{failure:?}");
    assert!(failure.message.starts_with("first") && failure.message.ends_with("end"), "{failure:?}");

    let long = format!(r#"{{"message": "{}"}}"#, "x".repeat(10_000));
    let api = Api::migrated().await.with(Fault::on(Operation::Any).answer(400).body(long));
    assert_eq!(api.failed_rollback().await.message.chars().count(), 512);
}
