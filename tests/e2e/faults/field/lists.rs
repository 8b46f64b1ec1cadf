//! Streaming lists that never end, and JSON with its keys in another order.

use std::time::{Duration, Instant};

use cde_sandbox::proxy::{Call, Point, Proxy, Rule};
use futures::future::join_all;
use serde_json::Value;

use super::{namespaces, other_namespace, warnings};
use crate::faults::proxied::{PLURALS, failure};
use crate::faults::request::{all_succeed_once, apply, both, lists};
use cde_harness::{Flags, TestEnv};

/// A streaming list is abandoned after this time.
const PATIENCE: Duration = Duration::from_secs(30);

fn streamed_lists() -> Rule {
    Rule::any().and("a streamed list", Call::is_streamed_list).always()
}

fn streamed_lists_in(place: &TestEnv) -> Rule {
    streamed_lists().path_contains(&format!("/namespaces/{}/", place.namespace))
}

/// Fault 44: the end of the list is withheld, or the API server never responds at all.
#[tokio::test]
async fn an_endless_streaming_list_is_replaced_by_a_paged_one_and_delays_no_other_list() {
    let here = TestEnv::new().await;
    let (endless, silent) = (other_namespace(&here).await, other_namespace(&here).await);
    let proxy = Proxy::start(&here.control_plane).await.unwrap();
    proxy.rewrite(streamed_lists_in(&endless), |event| {
        (!event.contains("k8s.io/initial-events-end")).then(|| event.to_owned())
    });
    let unanswered = proxy.hold(streamed_lists_in(&silent), Point::BeforeForward);
    let mut waiting = Vec::new();
    for place in [&endless, &silent] {
        let requests = both(&here.sandbox, "waiting");
        apply(place, &requests).await;
        waiting.push((place, requests));
    }
    let begun = Instant::now();
    let flags = Flags::default().with("--namespaces", &namespaces(&[&endless, &silent, &here]));
    let mut operator = here.start_behind(&proxy, flags.without_readiness_wait()).await;

    let others = both(&here.sandbox, "others");
    apply(&here, &others).await;
    all_succeed_once(&here, &others).await;

    assert!(begun.elapsed() < PATIENCE, "they waited {:?}", begun.elapsed());
    operator.ready().await;
    for (place, requests) in &waiting {
        all_succeed_once(place, requests).await;
        for plural in ["ConnectorRestore", "MigrationRollback"] {
            let lines = warnings(&operator, &[&place.namespace, plural, "list"]);
            assert_eq!(lines.len(), 1, "one warning for {plural}: {lines:#?}\n{}", operator.log());
        }
    }
    let took = begun.elapsed();
    assert!(took < PATIENCE + Duration::from_secs(20), "it took {took:?}");
    drop(unanswered);
}

/// The order of an object's keys.
#[derive(Clone, Copy, Debug)]
enum Keys {
    /// `object` before `type`, `items` before `kind`.
    Ascending,
    /// `type` before `object`, `kind` before `items` and `apiVersion`.
    Descending,
}

/// Returns the same JSON with its keys in this order.
fn ordered(value: &Value, keys: Keys) -> String {
    let list = |items: Vec<String>| items.join(",");
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            if matches!(keys, Keys::Descending) {
                members.reverse();
            }
            let member = |(key, value): (&String, &Value)| {
                format!("{}:{}", Value::from(key.as_str()), ordered(value, keys))
            };
            format!("{{{}}}", list(members.into_iter().map(member).collect()))
        }
        Value::Array(items) => {
            format!("[{}]", list(items.iter().map(|item| ordered(item, keys)).collect()))
        }
        plain => plain.to_string(),
    }
}

/// Checks that requests from before and after the start are carried out with this order of keys.
async fn all_is_done_whatever_the_order(keys: Keys, paged: bool) {
    let env = TestEnv::new().await;
    let proxy = Proxy::start(&env.control_plane).await.unwrap();
    proxy.rewrite(Rule::any().path_contains("/apis/cde.productsup.com/").always(), move |text| {
        let json = serde_json::from_str(text).ok();
        Some(json.map_or_else(|| text.to_owned(), |json: Value| ordered(&json, keys)))
    });
    if paged {
        proxy.answer(streamed_lists(), Point::BeforeForward, 422, &[], failure(422, "Invalid"));
    }
    let listed = both(&env.sandbox, "listed");
    apply(&env, &listed).await;

    let _operator = env.start_behind(&proxy, Flags::default()).await;

    all_succeed_once(&env, &listed).await;
    let lists = || PLURALS.map(|plural| proxy.count(&lists(plural)));
    let listed_so_far = lists();
    let watched = both(&env.sandbox, "watched");
    apply(&env, &watched).await;
    all_succeed_once(&env, &watched).await;
    assert_eq!(lists(), listed_so_far, "{keys:?}, paged: {paged}: a list for want of events");
}

/// Fault 54: in watches, in streaming lists and in paged ones.
#[tokio::test]
async fn json_with_keys_in_any_order_is_decoded() {
    let cases = [Keys::Ascending, Keys::Descending].map(|keys| [(keys, false), (keys, true)]);
    join_all(cases.into_iter().flatten().map(|(keys, paged)| all_is_done_whatever_the_order(keys, paged)))
        .await;
}
