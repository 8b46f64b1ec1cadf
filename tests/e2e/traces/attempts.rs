//! The trace of a request that meets trouble.

use std::collections::BTreeSet;

use cde_sandbox::cde::{Fault, Operation};

use crate::traces::collector::Collector;
use crate::traces::span::Span;
use cde_harness::{Kind, TestEnv, from_now};

fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.split(' ').next().unwrap()).collect()
}

fn of<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name.starts_with(name)).collect()
}

#[tokio::test]
async fn an_unknown_attempt_its_verification_and_the_next_attempt_are_one_trace() {
    let (env, collector) = (TestEnv::new().await, Collector::start().await);
    let _operator = env.start(collector.flags()).await;
    let request = env.request(Kind::Rollback, "again", Fault::on(Operation::Rollback).answer(500));
    env.apply(&request.manifest()).await;
    let done = env.wait_for(&request, "RolledBack").await;

    let (root, spans) = collector.trace(&done).await;

    let attempt = ["claim", "act", "POST", "record"];
    let read = ["observe", "GET"];
    assert_eq!(names(&spans), [&read[..], &attempt, &read, &attempt].concat());
    let calls = of(&spans, "POST");
    assert_eq!(calls[0].attribute("http.response.status_code"), "500");
    assert_eq!(calls[0].attribute("error.type"), "500");
    assert_eq!(calls[0].error.as_deref(), Some(""), "the code is enough");
    assert_eq!((calls[1].error.as_deref(), calls[1].attribute("error.type")), (None, ""));
    let acts = of(&spans, "act");
    assert!(acts[0].error.as_deref().is_some_and(|why| !why.is_empty()), "{:#?}", acts[0]);
    let attempts: Vec<_> = acts.iter().map(|span| span.attribute("cde.attempt")).collect();
    assert_eq!(attempts, ["1", "2"]);
    let reasons: Vec<_> = of(&spans, "record").iter().map(|span| span.attribute("cde.reason")).collect();
    assert_eq!(reasons, ["Verifying", "RolledBack"]);
    assert_eq!((root.error.as_deref(), root.attribute("cde.attempts")), (None, "2"));
}

#[tokio::test]
async fn attempts_of_two_processes_are_one_trace_whose_root_covers_both() {
    let (env, collector) = (TestEnv::new().await, Collector::start().await);
    let flags = || collector.flags().with("--retry-min", "30m").with("--retry-max", "30m");
    let mut first = env.start(flags()).await;
    let request = env.request(Kind::Restore, "handed-on", Fault::on(Operation::Restore).answer(423));
    env.apply(&request.manifest()).await;
    env.wait_for(&request, "Retrying").await;
    assert_eq!(first.terminate().await, Some(0));
    let _second = env.start(flags()).await;
    env.annotate_retry(&request, &from_now(0)).await;
    let done = env.wait_for(&request, "Restored").await;

    let (root, spans) = collector.trace(&done).await;

    let attempt = ["claim", "act", "PATCH", "record"];
    assert_eq!(names(&spans), [attempt, attempt].concat());
    let processes: BTreeSet<_> = spans.iter().map(|span| &span.resource["service.instance.id"]).collect();
    assert_eq!(processes.len(), 2, "{processes:?}");
    assert!(spans.iter().all(|span| root.begun <= span.begun), "{root:#?} {spans:#?}");
    assert!(of(&spans, "claim").iter().all(|span| span.parent == root.id));
}

#[tokio::test]
async fn the_trace_of_a_refused_request_says_why() {
    let (env, collector) = (TestEnv::new().await, Collector::start().await);
    let _operator = env.start(collector.flags()).await;
    let refusal = Fault::on(Operation::Rollback).answer(400);
    let request = env.request(Kind::Rollback, "refused", refusal);
    env.apply(&request.manifest()).await;
    let end = env.wait_for(&request, "OperationNotAllowed").await;

    let (root, spans) = collector.trace(&end).await;

    assert_eq!(root.error.as_deref(), Some(end.message()));
    let attributes = ["error.type", "cde.reason", "cde.outcome"].map(|name| root.attribute(name));
    assert_eq!(attributes, ["OperationNotAllowed", "OperationNotAllowed", "Failed"]);
    assert_eq!(of(&spans, "POST")[0].attribute("error.type"), "400");
}

#[tokio::test]
async fn the_span_of_a_call_without_a_response_has_an_error_and_no_code() {
    let (env, collector) = (TestEnv::new().await, Collector::start().await);
    let _operator = env.start(collector.flags().with("--timeout", "1s")).await;
    let request = env.request(Kind::Restore, "silent", Fault::on(Operation::Restore).hang());
    env.apply(&request.manifest()).await;
    let done = env.wait_for(&request, "Restored").await;

    let (_, spans) = collector.trace(&done).await;

    let silent = of(&spans, "PATCH")[0];
    assert_eq!(silent.attribute("error.type"), "no_answer");
    assert_eq!(silent.attribute("http.response.status_code"), "");
    assert_eq!(silent.error.as_deref(), Some("no response within 1s"));
    assert!(silent.ended - silent.begun >= 900_000_000, "{silent:#?}");
}
