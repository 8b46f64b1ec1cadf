//! What the client makes of errors of the API and of servers in front of it, and that it sends one request per call.

use std::time::Duration;

use cde_operator::cde::model::{Failure, FailureKind, Field, Version};
use cde_sandbox::cde::{CutPoint, Fault, Operation, Sandbox};
use jiff::Timestamp;

use crate::fixture::{Api, answering, client, from_api, not_from_api, roll_back_at};

const MIB: u64 = 1024 * 1024;

fn fault() -> Fault {
    Fault::on(Operation::Rollback).after_effect()
}

async fn fail_with(fault: Fault) -> Failure {
    Api::migrated().await.with(fault).failed_rollback().await
}

#[tokio::test]
async fn a_success_with_an_unusable_body_is_unreadable() {
    for (fault, says) in [
        (fault().empty(), "body is empty"),
        (fault().html(), "cannot be parsed"),
        (fault().truncated_json(), "cannot be parsed"),
        (fault().broken_utf8(), "not UTF-8"),
        (fault().without_data(), "no object `data`"),
        (fault().data_not_an_object(), "no object `data`"),
        (fault().body("{\"data\": null}"), "no object `data`"),
        (fault().body("[]"), "no object `data`"),
        (fault().huge(9 * MIB), "larger than 8388608 bytes"),
        (fault().cut(CutPoint::AfterHeaders), "body was cut"),
        (fault().cut(CutPoint::WithinBody), "body was cut"),
    ] {
        let failure = fail_with(fault.clone()).await;
        assert_eq!(failure.kind, FailureKind::Unreadable { code: 200 }, "{fault:?}");
        assert!(failure.message.contains(says), "{failure:?}");
    }
    let failure = fail_with(fault().answer(204).empty()).await;
    assert_eq!(failure.kind, FailureKind::Unreadable { code: 204 });
}

#[tokio::test]
async fn a_body_is_read_up_to_the_limit() {
    let padded = |body: &str, size: usize| format!("{body}{}", " ".repeat(size - body.len()));
    let (success, limit) = (r#"{"data": {}}"#, 8 * 1024 * 1024);
    let api = Api::migrated().await.with(fault().body(padded(success, limit)));
    let (version, _) = api.roll_back().await.unwrap();
    assert_eq!(version, Version::default());
    let failure = fail_with(fault().body(padded(success, limit + 1))).await;
    assert_eq!(failure.kind, FailureKind::Unreadable { code: 200 });

    let (error, limit) = (r#"{"message": "No."}"#, 64 * 1024);
    let at_404 = |size| Fault::on(Operation::Rollback).answer(404).body(padded(error, size));
    assert_eq!(fail_with(at_404(limit)).await.kind, from_api(404));
    assert_eq!(fail_with(at_404(limit + 1)).await.kind, not_from_api(404));
}

#[tokio::test]
async fn a_success_with_malformed_fields_names_these_fields() {
    let api = Api::migrated().await.with(fault().wrong_types());
    let (version, missing_fields) = api.roll_back().await.unwrap();
    assert_eq!(version, Version { deleted_at: Field::Null, ..Version::default() });
    assert_eq!(
        missing_fields,
        ["version", "state", "config", "platform_prod_reference", "platform_dev_reference"]
    );

    let api = Api::in_bin().await.with(Fault::on(Operation::Restore).after_effect().wrong_types());
    let (connector, missing_fields) = api.restore().await.unwrap();
    assert_eq!(connector.id, Field::Value(api.id.to_string()));
    assert_eq!(missing_fields, ["name", "main-version-number", "versions"]);

    let api = Api::migrated().await.with(Fault::on(Operation::Read).wrong_types());
    assert_eq!(api.read().await.unwrap().versions, Field::Missing);
}

#[tokio::test]
async fn a_connection_cut_before_the_status_line_means_no_response() {
    let failure = fail_with(fault().cut(CutPoint::BeforeHeaders)).await;
    assert_eq!(failure.kind, FailureKind::NoAnswer);
    assert!(failure.message.starts_with("the connection was closed before a response"), "{failure:?}");
}

#[tokio::test]
async fn the_timeout_ends_every_call() {
    let timeout = Duration::from_millis(400);
    let slow = || async { Api::migrated().await.with_timeout(timeout) };
    let failure = slow().await.with(fault().hang()).failed_rollback().await;
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::NoAnswer, "no response within 400ms"));

    let failure = slow().await.with(fault().drip(Duration::from_millis(50))).failed_rollback().await;
    assert_eq!(failure.kind, FailureKind::Unreadable { code: 200 });
    assert!(failure.message.contains("timed out"), "{failure:?}");

    let fault = fault().answer(503).header("retry-after", "30").drip(Duration::from_millis(50));
    let failure = slow().await.with(fault).failed_rollback().await;
    assert_eq!(failure.kind, not_from_api(503));
    assert!(failure.retry_at.is_some(), "the headers had arrived: {failure:?}");
}

#[tokio::test]
async fn the_message_in_a_response_of_the_api_is_kept() {
    let forbidden = Sandbox::start().await.unwrap();
    let api = Api::of(forbidden, |id| cde_sandbox::cde::Connector::migrated(id).forbidden());
    for failure in [api.failed_rollback().await, api.read().await.unwrap_err()] {
        assert_eq!((failure.kind, failure.message.as_str()), (from_api(403), "Access denied for user."));
    }

    let api = Api::migrated().await;
    let failure = api.send(&api.rollback_to("7")).await.unwrap_err();
    assert_eq!(failure.kind, from_api(404));
    assert_eq!(failure.message, "Connector does not have specified version.");
    let failure = api.restore().await.unwrap_err();
    assert_eq!((failure.kind, failure.message.as_str()), (from_api(404), "Connector not found."));
    api.sandbox.set_token("another");
    let failure = api.failed_rollback().await;
    assert_eq!(failure.kind, from_api(401));
    assert_eq!(failure.message, "You have to be authorized to access this resource.");

    let failure = Api::in_bin().await.failed_rollback().await;
    assert!(matches!(failure.kind, FailureKind::Status { from_api: true, .. }), "{failure:?}");
}

#[tokio::test]
async fn the_errors_of_a_refusal_are_shown_if_they_name_fields() {
    for (errors, shown) in [
        ("", "No."),
        (r#", "errors": []"#, "No."),
        (r#", "errors": null"#, "No."),
        (r#", "errors": {"a": "bad", "b": 7, "c": "worse"}"#, "No. (a: bad; c: worse)"),
    ] {
        let body = format!(r#"{{"message": "No."{errors}}}"#);
        let failure = fail_with(Fault::on(Operation::Rollback).answer(400).body(body)).await;
        assert_eq!((failure.kind, failure.message.as_str()), (from_api(400), shown));
    }
}

#[tokio::test]
async fn every_status_is_reported_with_whether_the_api_sent_it() {
    let at = |code| Fault::on(Operation::Rollback).answer(code);
    for code in [400, 401, 403, 404, 405, 408, 409, 410, 422, 423, 425, 429, 500, 502, 503, 504, 520, 599] {
        assert_eq!(fail_with(at(code)).await.kind, from_api(code));
        for mute in
            [at(code).html(), at(code).empty(), at(code).body("{\"message\": 7}"), at(code).body("[]")]
        {
            let failure = fail_with(mute).await;
            assert_eq!(failure.kind, not_from_api(code));
            assert!(failure.message.contains(&code.to_string()), "{failure:?}");
            assert_eq!(failure.message.contains("check --url"), code < 500, "{failure:?}");
        }
    }
    let cut = at(404).cut(CutPoint::WithinBody);
    assert_eq!(fail_with(cut).await.kind, not_from_api(404), "half a message does not count");
    assert_eq!(fail_with(at(404).huge(MIB)).await.kind, not_from_api(404));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_its_target_receives_nothing() {
    for code in [301, 302, 303, 307, 308] {
        let elsewhere = Sandbox::start().await.unwrap();
        let fault = Fault::on(Operation::Any).redirect(elsewhere.url() + "/hunter2").answer(code).html();
        let api = Api::migrated().await.with(fault.clone());
        let failure = api.failed_rollback().await;
        assert_eq!(failure.kind, not_from_api(code));
        assert!(failure.message.contains("redirect") && !failure.message.contains("hunter2"), "{failure:?}");
        api.sandbox.inject(fault);
        assert_eq!(api.read().await.unwrap_err().kind, not_from_api(code));
        assert_eq!(elsewhere.ledger().total(), 0, "the token must not be sent to the target");
    }
}

#[tokio::test]
async fn the_time_of_the_next_attempt_is_read_from_the_headers() {
    let unix = (Timestamp::now().as_second() + 50).to_string();
    for (code, name, value, seconds) in [
        (429, "retry-after", "30", Some(30)),
        (503, "retry-after", "18446744073709551615", Some(3600)),
        (503, "retry-after", "0", None),
        (503, "retry-after", "soon", None),
        (429, "x-ratelimit-retry-after", &unix, Some(50)),
        (429, "ratelimit-reset", &unix, Some(50)),
        (307, "retry-after", "30", Some(30)),
    ] {
        let asked = Timestamp::now();
        let failure = fail_with(Fault::on(Operation::Rollback).answer(code).header(name, value)).await;
        let ahead = failure.retry_at.map(|at| at.duration_since(asked).as_secs());
        match (ahead, seconds) {
            (Some(ahead), Some(seconds)) => {
                assert!((seconds - 20..=seconds + 20).contains(&ahead), "{failure:?}");
            }
            (ahead, seconds) => assert_eq!(ahead, seconds, "{name}: {value}"),
        }
    }
    let failure = fail_with(fault().html().header("retry-after", "30")).await;
    assert!(failure.retry_at.is_some(), "{failure:?}");
}

#[tokio::test]
async fn a_server_without_http_sends_no_response_and_101_is_a_status() {
    for (answer, kind) in [
        ("SSH-2.0-OpenSSH_9.9\r\n", FailureKind::NoAnswer),
        ("", FailureKind::NoAnswer),
        ("HTTP/1.1 200", FailureKind::NoAnswer),
        ("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", not_from_api(101)),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
            not_from_api(502),
        ),
    ] {
        let (base, server) = answering(answer).await;
        let failure = roll_back_at(&client(&base, Duration::from_secs(30))).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{answer:?}: {failure:?}");
        server.await.unwrap();
    }
}
