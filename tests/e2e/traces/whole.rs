//! A request that goes well, as a trace.

use std::collections::BTreeMap;

use cde_sandbox::cde::{Fault, Operation};
use serde_json::Value;

use crate::traces::collector::Collector;
use crate::traces::span::{Facts, Span};
use cde_harness::{Kind, Object, Request, TestEnv};

fn facts<const N: usize>(facts: [(&str, &str); N]) -> Facts {
    facts.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What every span of the request says but that of a call.
fn of_request(env: &TestEnv, request: &Request, object: &Object, kind: &str) -> Facts {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    facts([
        ("k8s.namespace.name", &env.namespace),
        ("k8s.object.kind", kind),
        ("k8s.object.name", &request.name),
        ("k8s.object.uid", &text(&object.metadata()["uid"])),
        ("cde.connector.id", &request.id.to_string()),
        ("cde.operation.id", &text(&object.operation()["id"])),
    ])
}

fn with<const N: usize>(of_request: &Facts, more: [(&str, &str); N]) -> Facts {
    of_request.clone().into_iter().chain(facts(more)).collect()
}

/// What the span of a call says.
fn of_call(env: &TestEnv, method: &str, template: &str, path: &str) -> Facts {
    let url = env.sandbox.url();
    let (_, port) = url.rsplit_once(':').unwrap();
    facts([
        ("http.request.method", method),
        ("url.full", &format!("{url}{path}")),
        ("url.template", template),
        ("server.address", "127.0.0.1"),
        ("server.port", port),
        ("http.response.status_code", "200"),
    ])
}

/// Name, parent and facts of each span.
fn told(spans: &[Span]) -> Vec<(&str, &str, &Facts)> {
    let names: BTreeMap<&str, &str> =
        spans.iter().map(|span| (span.id.as_str(), span.name.as_str())).collect();
    let parent = |span: &Span| names.get(span.parent.as_str()).copied().unwrap_or("root");
    spans.iter().map(|span| (span.name.as_str(), parent(span), &span.facts)).collect()
}

/// Every span lies within its parent, none went wrong, and only calls are calls.
fn assert_sound(root: &Span, spans: &[Span]) {
    assert!(!root.client && root.error.is_none(), "{root:#?}");
    for span in spans {
        let parent = spans.iter().find(|other| other.id == span.parent).unwrap_or(root);
        assert_eq!(parent.id, span.parent, "it is a part of nothing: {span:#?}");
        assert!(parent.begun <= span.begun && span.begun <= span.ended, "{span:#?} in {parent:#?}");
        // The clock of the day may have been set meanwhile by a little.
        assert!(span.ended <= parent.ended + 1_000_000, "{span:#?} in {parent:#?}");
        assert_eq!(span.client, span.facts.contains_key("url.full"), "{span:#?}");
        assert_eq!(span.error, None, "{span:#?}");
    }
}

#[tokio::test]
async fn a_rollback_is_one_trace_named_by_its_operation_and_the_api_is_told_of_each_call() {
    let (env, collector) = (TestEnv::new().await, Collector::start().await);
    let _operator = env.start(collector.flags()).await;
    let request = env.request(Kind::Rollback, "traced", Fault::on(Operation::Any).times(0));
    env.apply(&request.manifest()).await;
    let done = env.wait_for(&request, "RolledBack").await;

    let (root, spans) = collector.trace(&done).await;

    assert_sound(&root, &spans);
    let about = of_request(&env, &request, &done, "MigrationRollback");
    let (zero, one) = (with(&about, [("cde.attempt", "0")]), with(&about, [("cde.attempt", "1")]));
    let read = format!("/connectors/{}", request.id);
    let path = format!("{read}/versions/1/migration/rollback");
    let template = "/connectors/{id}/versions/{version}/migration/rollback";
    let name = format!("POST {template}");
    let expected = [
        ("observe", "root", &zero),
        ("GET /connectors/{id}", "observe", &of_call(&env, "GET", "/connectors/{id}", &read)),
        ("claim", "root", &one),
        ("act", "root", &one),
        (name.as_str(), "act", &of_call(&env, "POST", template, &path)),
        ("record", "root", &with(&one, [("cde.reason", "RolledBack")])),
    ];
    assert_eq!(told(&spans), expected);
    assert_eq!(root.name, "MigrationRollback");
    let outcome = [("cde.attempts", "1"), ("cde.outcome", "Succeeded"), ("cde.reason", "RolledBack")];
    assert_eq!(root.facts, with(&about, outcome));
    assert_eq!(root.id, root.trace[16..]);
    let calls = env.sandbox.calls(Operation::Any, request.id);
    let sent: Vec<_> = calls.into_iter().map(|call| call.traceparent.expect("a traceparent")).collect();
    let clients = spans.iter().filter(|span| span.client).map(Span::traceparent);
    assert_eq!(sent, clients.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_restore_is_one_trace_and_says_which_process_made_it() {
    let (env, collector) = (TestEnv::new().await, Collector::start().await);
    let flags = collector.flags().env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test");
    let operator = env.start(flags).await;
    let request = env.request(Kind::Restore, "traced", Fault::on(Operation::Any).times(0));
    env.apply(&request.manifest()).await;
    let done = env.wait_for(&request, "Restored").await;

    let (root, spans) = collector.trace(&done).await;

    assert_sound(&root, &spans);
    let about = of_request(&env, &request, &done, "ConnectorRestore");
    let one = with(&about, [("cde.attempt", "1")]);
    let path = format!("/connectors/{}/restore-from-bin", request.id);
    let template = "/connectors/{id}/restore-from-bin";
    let name = format!("PATCH {template}");
    let expected = [
        ("claim", "root", &one),
        ("act", "root", &one),
        (name.as_str(), "act", &of_call(&env, "PATCH", template, &path)),
        ("record", "root", &with(&one, [("cde.reason", "Restored")])),
    ];
    assert_eq!(told(&spans), expected);
    assert_eq!(root.name, "ConnectorRestore");
    assert!(!operator.log().contains("otel."), "what is for the collector is in the log");
    let mut resource = root.resource;
    let instance = resource.remove("service.instance.id").expect("an instance");
    assert!(instance.starts_with("operator-"), "{instance}");
    resource.retain(|name, _| !name.starts_with("telemetry.sdk."));
    let expected = facts([
        ("service.name", "cde-operator"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("k8s.pod.name", "operator"),
        ("k8s.namespace.name", "cde-operator-system"),
        ("deployment.environment.name", "test"),
    ]);
    assert_eq!(resource, expected);
}
