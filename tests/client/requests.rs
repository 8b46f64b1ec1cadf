//! What the client sends, and what it returns for successes.

use cde_operator::cde::model::{Call, FailureKind, Field};
use cde_sandbox::cde::{Connector, Operation, Sandbox, Version};

use crate::fixture::{Api, LONG_TIMEOUT, OPERATION, answering, client, roll_back_at};

fn text(text: &str) -> Field<String> {
    Field::Value(text.into())
}

#[tokio::test]
async fn a_rollback_returns_the_version_after_the_change() {
    let api = Api::migrated().await;
    let (version, missing_fields) = api.roll_back().await.unwrap();
    assert_eq!(missing_fields, Vec::<String>::new());
    assert_eq!(version.version, text("1.0.0"));
    assert_eq!(version.state, text("synchronized-to-prod"));
    assert_eq!(version.deleted_at, Field::Null);
    assert_eq!(version.production_executable, Field::Value(24));
    assert_eq!(version.production_platform_connector, Field::Value(5));
    assert_eq!(version.legacy_executable, Field::Value(25));
    assert_eq!(version.development_executable, Field::Null);
    assert_eq!(version.development_platform_connector, Field::Null);
    assert_eq!(api.sandbox.effects(api.id), 1);
    assert_eq!(api.sandbox.ledger().total(), 1);
}

#[tokio::test]
async fn each_form_of_a_version_is_sent_in_the_path() {
    for word in ["main", "latest", "1"] {
        let api = Api::migrated().await;
        api.send(&api.rollback_to(word)).await.unwrap();
        assert_eq!(api.sandbox.calls(Operation::Rollback, api.id)[0].version.as_deref(), Some(word));
    }
}

#[tokio::test]
async fn a_restore_returns_the_connector_with_its_restored_versions() {
    let api = Api::in_bin().await;
    let (connector, missing_fields) = api.restore().await.unwrap();
    assert_eq!(missing_fields, Vec::<String>::new());
    assert_eq!(connector.id, text(&api.id.to_string()));
    assert_eq!(connector.r#type, text("datasource"));
    assert_eq!(connector.name, text("Name"));
    assert_eq!(connector.flow, text("default"));
    assert_eq!(connector.main_version_number, Field::Null);
    assert!(connector.owner.value().is_some() && connector.integrator.value().is_some());
    let versions = connector.versions.value().unwrap();
    assert_eq!(
        versions.iter().map(|one| one.version.clone()).collect::<Vec<_>>(),
        [text("1.0.0"), text("2.0.0")]
    );
    for version in versions {
        assert_eq!((&version.state, &version.deleted_at), (&text("created"), &Field::Null));
        assert_eq!(version.legacy_executable, Field::Null, "the migration is null");
        assert_eq!(version.production_executable, Field::Null);
    }
    assert_eq!((api.sandbox.effects(api.id), api.sandbox.ledger().total()), (1, 1));
}

#[tokio::test]
async fn a_read_returns_the_connector_and_changes_nothing() {
    let api = Api::of(Sandbox::start().await.unwrap(), |id| {
        Connector::migrated(id).version(Version::new("2.1.0").development(31, 7).deleted()).kind("export")
    });
    let connector = api.read().await.unwrap();
    assert_eq!(connector.id, text(&api.id.to_string()));
    assert_eq!(connector.r#type, text("export"));
    assert_eq!(connector.main_version_number, Field::Value(1));
    let [first, second] = connector.versions.value().unwrap().as_slice() else {
        panic!("two versions: {connector:?}")
    };
    assert_eq!((&first.legacy_executable, &first.deleted_at), (&Field::Value(24), &Field::Null));
    assert_eq!(second.development_executable, Field::Value(31));
    assert_eq!(second.development_platform_connector, Field::Value(7));
    assert!(second.deleted_at.value().is_some());
    assert_eq!((api.sandbox.effects(api.id), api.sandbox.ledger().total()), (0, 1));
}

#[tokio::test]
async fn each_call_identifies_the_client_the_operation_and_the_attempt() {
    let api = Api::migrated().await;
    api.roll_back().await.unwrap();
    api.read().await.unwrap();
    let ledger = api.sandbox.ledger();
    let [rollback, read] = ledger.calls() else { panic!("two calls: {ledger}") };
    for call in [rollback, read] {
        assert!(call.authorized);
        assert_eq!(call.user_agent.as_deref(), Some("cde-operator/1.2.3"));
        assert_eq!(call.request_id, Some(format!("{OPERATION}-3")));
    }
    assert_eq!(rollback.idempotency_key.as_deref(), Some(OPERATION));
    assert_eq!(read.idempotency_key, None, "reading changes nothing");
    assert_eq!(rollback.connection, read.connection, "the connection is reused");

    let api = Api::in_bin().await;
    api.restore().await.unwrap();
    assert_eq!(api.sandbox.ledger().calls()[0].idempotency_key.as_deref(), Some(OPERATION));
}

#[tokio::test]
async fn a_changing_call_has_a_content_length_of_zero() {
    let (base, server) = answering("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
    roll_back_at(&client(&format!("{base}/prefix/"), LONG_TIMEOUT)).await.unwrap_err();
    let request = server.await.unwrap().to_ascii_lowercase();
    assert!(request.starts_with("post /prefix/connectors/"), "{request}");
    for line in ["content-length: 0", "accept: application/json", "authorization: bearer canary-token"] {
        assert_eq!(request.lines().filter(|one| *one == line).count(), 1, "{line} in {request}");
    }
    for absent in ["content-type", "transfer-encoding", "accept-encoding", "referer", "cookie", "expect"] {
        assert!(!request.contains(&format!("\r\n{absent}:")), "{absent} in {request}");
    }
}

#[tokio::test]
async fn an_invalid_id_cannot_reach_another_resource() {
    let api = Api::migrated().await;
    for rubbish in ["", ".", ".."] {
        let call = Call::RestoreFromBin { connector: rubbish.into() };
        let failure = api.send(&call).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::NotSent, "{rubbish:?}");
    }
    assert_eq!(api.sandbox.ledger().total(), 0);
    for rubbish in ["../admin", "a/b", "a?b#c", "a%2fb", "ä b"] {
        let call = Call::RestoreFromBin { connector: rubbish.into() };
        assert_eq!(api.send(&call).await.unwrap_err().code(), Some(404), "{rubbish}");
    }
    for call in api.sandbox.ledger().calls() {
        let segments = call.path.split('/').collect::<Vec<_>>();
        assert_eq!(
            (segments[1], segments[3], segments.len()),
            ("connectors", "restore-from-bin", 4),
            "{call}"
        );
    }
}
