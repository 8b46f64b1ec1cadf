//! The trace of a request that succeeds at once.

use std::collections::BTreeMap;

use cde_sandbox::cde::{Fault, Operation};
use serde_json::Value;

use crate::traces::collector::Collector;
use crate::traces::span::{Attributes, Span};
use cde_harness::{Kind, Object, Request, TestEnv};

fn attributes<const N: usize>(attributes: [(&str, &str); N]) -> Attributes {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Returns the attributes that every span of the request has, except those of calls.
fn request_attributes(env: &TestEnv, request: &Request, object: &Object, kind: &str) -> Attributes {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    attributes([
        ("k8s.namespace.name", &env.namespace),
        ("k8s.object.kind", kind),
        ("k8s.object.name", &request.name),
        ("k8s.object.uid", &text(&object.metadata()["uid"])),
        ("cde.connector.id", &request.id.to_string()),
        ("cde.operation.id", &text(&object.operation()["id"])),
    ])
}

fn with<const N: usize>(request_attributes: &Attributes, more: [(&str, &str); N]) -> Attributes {
    request_attributes.clone().into_iter().chain(attributes(more)).collect()
}

/// Returns the attributes of the span of a call.
fn call_attributes(env: &TestEnv, method: &str, template: &str, path: &str) -> Attributes {
    let url = env.sandbox.url();
    let (_, port) = url.rsplit_once(':').unwrap();
    attributes([
        ("http.request.method", method),
        ("url.full", &format!("{url}{path}")),
        ("url.template", template),
        ("server.address", "127.0.0.1"),
        ("server.port", port),
        ("http.response.status_code", "200"),
    ])
}

/// Returns the name, the parent and the attributes of each span.
fn told(spans: &[Span]) -> Vec<(&str, &str, &Attributes)> {
    let names: BTreeMap<&str, &str> =
        spans.iter().map(|span| (span.id.as_str(), span.name.as_str())).collect();
    let parent = |span: &Span| names.get(span.parent.as_str()).copied().unwrap_or("root");
    spans.iter().map(|span| (span.name.as_str(), parent(span), &span.attributes)).collect()
}

/// Checks that every span lies within its parent, none has an error, and only calls are client spans.
fn assert_sound(root: &Span, spans: &[Span]) {
    assert!(!root.client && root.error.is_none(), "{root:#?}");
    for span in spans {
        let parent = spans.iter().find(|other| other.id == span.parent).unwrap_or(root);
        assert_eq!(parent.id, span.parent, "it has no parent: {span:#?}");
        assert!(parent.begun <= span.begun && span.begun <= span.ended, "{span:#?} in {parent:#?}");
        // The system clock may have been adjusted a little meanwhile.
        assert!(span.ended <= parent.ended + 1_000_000, "{span:#?} in {parent:#?}");
        assert_eq!(span.client, span.attributes.contains_key("url.full"), "{span:#?}");
        assert_eq!(span.error, None, "{span:#?}");
    }
}

#[tokio::test]
async fn a_rollback_is_one_trace_with_the_operation_id_and_every_call_has_a_traceparent() {
    let (env, collector) = (TestEnv::new().await, Collector::start().await);
    let _operator = env.start(collector.flags()).await;
    let request = env.request(Kind::Rollback, "traced", Fault::on(Operation::Any).times(0));
    env.apply(&request.manifest()).await;
    let done = env.wait_for(&request, "RolledBack").await;

    let (root, spans) = collector.trace(&done).await;

    assert_sound(&root, &spans);
    let about = request_attributes(&env, &request, &done, "MigrationRollback");
    let (zero, one) = (with(&about, [("cde.attempt", "0")]), with(&about, [("cde.attempt", "1")]));
    let read = format!("/connectors/{}", request.id);
    let path = format!("{read}/versions/1/migration/rollback");
    let template = "/connectors/{id}/versions/{version}/migration/rollback";
    let name = format!("POST {template}");
    let expected = [
        ("observe", "root", &zero),
        ("GET /connectors/{id}", "observe", &call_attributes(&env, "GET", "/connectors/{id}", &read)),
        ("claim", "root", &one),
        ("act", "root", &one),
        (name.as_str(), "act", &call_attributes(&env, "POST", template, &path)),
        ("record", "root", &with(&one, [("cde.reason", "RolledBack")])),
    ];
    assert_eq!(told(&spans), expected);
    assert_eq!(root.name, "MigrationRollback");
    let outcome = [("cde.attempts", "1"), ("cde.outcome", "Succeeded"), ("cde.reason", "RolledBack")];
    assert_eq!(root.attributes, with(&about, outcome));
    assert_eq!(root.id, root.trace[16..]);
    let calls = env.sandbox.calls(Operation::Any, request.id);
    let sent: Vec<_> = calls.into_iter().map(|call| call.traceparent.expect("a traceparent")).collect();
    let clients = spans.iter().filter(|span| span.client).map(Span::traceparent);
    assert_eq!(sent, clients.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_restore_is_one_trace_that_names_its_process() {
    let (env, collector) = (TestEnv::new().await, Collector::start().await);
    let flags = collector.flags().env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test");
    let operator = env.start(flags).await;
    let request = env.request(Kind::Restore, "traced", Fault::on(Operation::Any).times(0));
    env.apply(&request.manifest()).await;
    let done = env.wait_for(&request, "Restored").await;

    let (root, spans) = collector.trace(&done).await;

    assert_sound(&root, &spans);
    let about = request_attributes(&env, &request, &done, "ConnectorRestore");
    let one = with(&about, [("cde.attempt", "1")]);
    let path = format!("/connectors/{}/restore-from-bin", request.id);
    let template = "/connectors/{id}/restore-from-bin";
    let name = format!("PATCH {template}");
    let expected = [
        ("claim", "root", &one),
        ("act", "root", &one),
        (name.as_str(), "act", &call_attributes(&env, "PATCH", template, &path)),
        ("record", "root", &with(&one, [("cde.reason", "Restored")])),
    ];
    assert_eq!(told(&spans), expected);
    assert_eq!(root.name, "ConnectorRestore");
    assert!(!operator.log().contains("otel."), "data for the collector is in the log");
    let mut resource = root.resource;
    let instance = resource.remove("service.instance.id").expect("an instance");
    assert!(instance.starts_with("operator-"), "{instance}");
    resource.retain(|name, _| !name.starts_with("telemetry.sdk."));
    let expected = attributes([
        ("service.name", "cde-operator"),
        ("service.version", cde_operator::VERSION),
        ("k8s.pod.name", "operator"),
        ("k8s.namespace.name", "cde-operator-system"),
        ("deployment.environment.name", "test"),
    ]);
    assert_eq!(resource, expected);
}
