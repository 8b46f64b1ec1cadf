//! An Event on the operator's own Pod says what opened the circuit breaker and what closed it again.

use cde_sandbox::cde::{Fault, Operation};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use crate::faults::request::{Request, all_succeed_once, apply, both, many};
use cde_harness::{Flags, LIMIT, Operator, POLL, TestEnv};

const POD: &str = "operator-pod";

/// Creates the Pod of an operator. No kubelet runs it.
async fn pod(env: &TestEnv) {
    env.kubectl(&["create", "serviceaccount", "default"], "").await;
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD},
        "spec": {"containers": [{"name": "manager", "image": "example.com/cde-operator"}]},
    });
    env.kubectl(&["create", "-f", "-"], &pod.to_string()).await;
}

/// Returns an environment and its operator in that Pod.
async fn in_a_pod() -> (TestEnv, Operator) {
    let env = TestEnv::new().await;
    pod(&env).await;
    let flags = Flags::fast_retries().env("POD_NAME", POD).env("POD_NAMESPACE", &env.namespace);
    let operator = env.start(flags).await;
    (env, operator)
}

/// Returns the Events about the Pod, oldest first.
async fn events(env: &TestEnv) -> Vec<Event> {
    let api: Api<Event> = Api::namespaced(env.client.clone(), &env.namespace);
    let mut events = api.list(&ListParams::default()).await.unwrap().items;
    events.retain(|event| event.regarding.as_ref().is_some_and(|it| it.kind.as_deref() == Some("Pod")));
    events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
    events
}

/// Waits until there are this many Events about the Pod, and checks their subject.
async fn until_events(env: &TestEnv, operator: &Operator, count: usize) -> Vec<Event> {
    let begun = std::time::Instant::now();
    loop {
        let events = events(env).await;
        if events.len() >= count {
            for event in &events {
                let about = event.regarding.as_ref().unwrap();
                assert_eq!(about.name.as_deref(), Some(POD), "{event:#?}");
                assert_eq!(about.namespace.as_deref(), Some(env.namespace.as_str()), "{event:#?}");
                assert!(event.reason.as_ref().is_some_and(|reason| !reason.is_empty()), "{event:#?}");
            }
            return events;
        }
        assert!(begun.elapsed() < LIMIT, "{count} Events have not come: {events:#?}\n{}", operator.log());
        tokio::time::sleep(POLL).await;
    }
}

fn note(event: &Event) -> String {
    event.note.clone().unwrap_or_default().to_lowercase()
}

/// Checks that the breaker publishes one Event when it opens, with one of these words as the reason, and one when it
/// closes.
async fn opened_and_closed(env: &TestEnv, operator: &Operator, requests: &[Request], why: &[&str]) {
    let closed = until_events(env, operator, 1).await;
    assert_eq!(closed.len(), 1, "{closed:#?}");
    assert_eq!(closed[0].type_.as_deref(), Some("Warning"), "{closed:#?}");
    let note = note(&closed[0]);
    assert!(why.iter().any(|word| note.contains(word)), "the note has no reason: {note}");

    env.sandbox.clear_faults();
    std::fs::write(env.token_file(), env.sandbox.token()).unwrap();
    all_succeed_once(env, requests).await;
    let opened = until_events(env, operator, 2).await;
    env.flush_events().await;

    let all = events(env).await;
    assert_eq!(all.len(), 2, "one Event for each change: {all:#?}");
    assert_eq!(opened[1].type_.as_deref(), Some("Normal"), "{opened:#?}");
}

/// Checks that one response pauses all calls for as long as it says.
async fn check_limit(code: u16, why: &[&str]) {
    let (env, operator) = in_a_pod().await;
    let requests = both(&env.sandbox, "limited");
    let limited = Fault::on(Operation::Any).answer(code).header("retry-after", "2");
    env.sandbox.inject(limited);
    apply(&env, &requests).await;
    opened_and_closed(&env, &operator, &requests, why).await;
}

#[tokio::test]
async fn the_start_and_the_end_of_a_rate_limit_are_one_event_each_on_the_pod() {
    tokio::join!(
        check_limit(429, &["429", "rate limit", "limit"]),
        check_limit(503, &["503", "unavailable"]),
    );
}

#[tokio::test]
async fn the_start_and_the_end_of_an_outage_are_one_event_each_on_the_pod() {
    let (env, operator) = in_a_pod().await;
    let requests = many(&env.sandbox, 6);
    env.sandbox.inject(Fault::on(Operation::Any).answer(503).always());
    apply(&env, &requests).await;
    opened_and_closed(&env, &operator, &requests, &["503", "unavailable", "down"]).await;
}

#[tokio::test]
async fn a_rejected_token_and_its_replacement_are_one_event_each_on_the_pod() {
    let (env, operator) = in_a_pod().await;
    env.sandbox.set_token("another-token");
    let requests = both(&env.sandbox, "refused");
    apply(&env, &requests).await;
    opened_and_closed(&env, &operator, &requests, &["401", "token"]).await;
    assert!(events(&env).await.iter().all(|event| !note(event).contains("another-token")));
}
