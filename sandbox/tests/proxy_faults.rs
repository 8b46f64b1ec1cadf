//! The proxy between a client and a real API server: what it forwards, and each thing that it can do to a request.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests panic on unexpected results")]

use std::time::{Duration, Instant};

use cde_sandbox::control_plane::ControlPlane;
use cde_sandbox::proxy::{Point, Proxy, Rule};
use futures::{AsyncBufReadExt, TryStreamExt};
use http::Method;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LIMIT: Duration = Duration::from_secs(30);

/// A namespace of its own with a service account that may do everything in it, a proxy, and a client that uses both.
struct TestEnv {
    proxy: Proxy,
    direct: Api<ConfigMap>,
    through: Api<ConfigMap>,
    client: Client,
}

async fn test_env(namespace: &str) -> TestEnv {
    let control_plane = ControlPlane::shared().await.unwrap();
    let admin = control_plane.admin().await.unwrap();
    let object = serde_json::from_value(json!({"metadata": {"name": namespace}})).unwrap();
    Api::<Namespace>::all(admin.clone()).create(&PostParams::default(), &object).await.unwrap();
    for what in [
        "create serviceaccount worker".to_owned(),
        "create role all --verb=* --resource=configmaps".to_owned(),
        format!("create rolebinding all --role=all --serviceaccount={namespace}:worker"),
    ] {
        let args: Vec<&str> = what.split(' ').chain(["-n", namespace]).collect();
        control_plane.kubectl_ok(&args, "").await.unwrap();
    }
    let proxy = Proxy::start(control_plane).await.unwrap();
    let direct_kubeconfig = control_plane.service_account(namespace, "worker", None).await.unwrap();
    let authorized: Api<ConfigMap> =
        Api::namespaced(control_plane.client(&direct_kubeconfig).await.unwrap(), namespace);
    eventually("the binding is known to the authorizer", async || {
        authorized.list(&ListParams::default()).await.is_ok()
    })
    .await;
    let kubeconfig = control_plane.service_account(namespace, "worker", Some(proxy.url())).await.unwrap();
    let client = control_plane.client(&kubeconfig).await.unwrap();
    TestEnv {
        direct: Api::namespaced(admin, namespace),
        through: Api::namespaced(client.clone(), namespace),
        proxy,
        client,
    }
}

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

async fn create(api: &Api<ConfigMap>, name: &str) -> kube::Result<ConfigMap> {
    api.create(&PostParams::default(), &config_map(name)).await
}

fn no_bookmarks() -> WatchParams {
    WatchParams::default().disable_bookmarks()
}

fn creation() -> Rule {
    Rule::verb(Method::POST).path_ends_with("/configmaps")
}

fn answered(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < LIMIT, "after {LIMIT:?} it still does not hold that {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn requests_are_forwarded_as_their_service_account_and_are_in_the_ledger() {
    let TestEnv { proxy, direct, through, client } = test_env("proxy-pass").await;
    create(&through, "one").await.unwrap();
    assert!(direct.get_opt("one").await.unwrap().is_some());
    let refused =
        Api::<ConfigMap>::namespaced(client, "default").list(&ListParams::default()).await.unwrap_err();
    assert!(
        answered(&refused) == Some(403) && refused.to_string().contains("proxy-pass:worker"),
        "{refused}"
    );

    let told: Vec<_> =
        proxy.ledger().into_iter().map(|e| (e.call.method, e.call.path, e.status, e.forwarded)).collect();
    let expected = [
        (Method::POST, "/api/v1/namespaces/proxy-pass/configmaps".to_owned(), Some(201), true),
        (Method::GET, "/api/v1/namespaces/default/configmaps".to_owned(), Some(403), true),
    ];
    assert_eq!(told, expected);
    assert_eq!((proxy.count(&creation()), proxy.count(&Rule::any())), (1, 2));
    let body = proxy.ledger()[0].call.json();
    assert_eq!(body["metadata"]["name"], "one");
    assert!(proxy.ledger()[0].response_bytes > 100);
}

#[tokio::test]
async fn a_watch_is_forwarded_event_by_event_until_it_is_cut() {
    let TestEnv { proxy, direct, through, .. } = test_env("proxy-watch").await;
    let mut events = Box::pin(through.watch(&no_bookmarks(), "0").await.unwrap());
    for name in ["one", "two"] {
        create(&direct, name).await.unwrap();
        let event = tokio::time::timeout(LIMIT, events.try_next()).await.unwrap().unwrap().unwrap();
        let WatchEvent::Added(added) = event else { panic!("not an addition: {event:?}") };
        assert_eq!(added.metadata.name.as_deref(), Some(name));
    }
    proxy.cut_watches();
    let end = tokio::time::timeout(LIMIT, events.try_next()).await.unwrap();
    assert!(!matches!(end, Ok(Some(_))), "an event came after the cut: {end:?}");

    let mut again = Box::pin(through.watch(&no_bookmarks(), "0").await.unwrap());
    assert!(tokio::time::timeout(LIMIT, again.try_next()).await.unwrap().unwrap().is_some());
    assert_eq!(proxy.count(&Rule::watch("configmaps")), 2);
}

#[tokio::test]
async fn a_request_held_before_it_is_forwarded_is_carried_out_when_released() {
    let TestEnv { proxy, direct, through, .. } = test_env("proxy-hold").await;
    let held = proxy.hold(
        creation().and("named two", |call| call.json()["metadata"]["name"] == "two"),
        Point::BeforeForward,
    );
    create(&through, "one").await.unwrap();
    let waiting = tokio::spawn({
        let through = through.clone();
        async move { create(&through, "two").await }
    });
    assert_eq!(held.seen().await.unwrap().json()["metadata"]["name"], "two");
    assert!(direct.get_opt("two").await.unwrap().is_none() && !waiting.is_finished());
    held.release();
    waiting.await.unwrap().unwrap();
    assert!(direct.get_opt("two").await.unwrap().is_some());
}

#[tokio::test]
async fn a_held_request_arrives_after_its_client_has_gone() {
    let TestEnv { proxy, direct, through, .. } = test_env("proxy-late").await;
    let held = proxy.hold(creation(), Point::BeforeForward);
    let waiting = tokio::spawn(async move { create(&through, "late").await });
    held.seen().await.unwrap();
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    assert!(direct.get_opt("late").await.unwrap().is_none());
    held.release();
    eventually("it has arrived", async || direct.get_opt("late").await.unwrap().is_some()).await;
}

#[tokio::test]
async fn a_cut_before_forwarding_prevents_the_effect_and_one_before_the_reply_does_not() {
    let TestEnv { proxy, direct, through, .. } = test_env("proxy-cut").await;
    proxy.cut(creation(), Point::BeforeForward);
    assert_eq!(answered(&create(&through, "lost").await.unwrap_err()), None);
    assert!(direct.get_opt("lost").await.unwrap().is_none());

    let held = proxy.hold(creation(), Point::BeforeReply);
    let waiting = tokio::spawn({
        let through = through.clone();
        async move { create(&through, "done").await }
    });
    held.seen().await.unwrap();
    assert!(direct.get_opt("done").await.unwrap().is_some());
    held.cut();
    assert_eq!(answered(&waiting.await.unwrap().unwrap_err()), None);

    let (lost, done) = (&proxy.ledger()[0], &proxy.ledger()[1]);
    assert_eq!((lost.status, lost.forwarded, done.status, done.forwarded), (None, false, None, true));
    assert_eq!(answered(&create(&through, "done").await.unwrap_err()), Some(409));
}

#[tokio::test]
async fn the_proxy_answers_with_the_given_headers_as_often_as_it_was_told() {
    let TestEnv { proxy, direct, through, .. } = test_env("proxy-answer").await;
    let body =
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "wait", "code": 503})
            .to_string();
    proxy.answer(creation().skip(1).times(2), Point::BeforeForward, 503, &[("Retry-After", "7")], body);
    create(&through, "first").await.unwrap();
    for _ in 0..2 {
        assert_eq!(answered(&create(&through, "second").await.unwrap_err()), Some(503));
    }
    assert!(direct.get_opt("second").await.unwrap().is_none());
    create(&through, "second").await.unwrap();

    proxy.answer(
        Rule::any().path_ends_with("/raw"),
        Point::BeforeForward,
        429,
        &[("Retry-After", "7")],
        "slowly",
    );
    let address = proxy.url().strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /raw HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(
        text.starts_with("HTTP/1.1 429 ") && text.contains("retry-after: 7\r\n") && text.ends_with("slowly"),
        "{text}"
    );
}

#[tokio::test]
async fn an_answer_in_place_of_the_reply_hides_a_stored_write() {
    let TestEnv { proxy, direct, through, .. } = test_env("proxy-stored").await;
    proxy.answer(creation(), Point::BeforeReply, 504, &[], "");
    create(&through, "stored").await.unwrap_err();
    assert_eq!(proxy.ledger()[0].status, Some(504));
    assert!(direct.get_opt("stored").await.unwrap().is_some());
}

#[tokio::test]
async fn a_delayed_request_waits_and_is_carried_out() {
    let TestEnv { proxy, through, .. } = test_env("proxy-delay").await;
    let delay = Duration::from_millis(500);
    proxy.delay(creation(), Point::BeforeForward, delay);
    let begin = Instant::now();
    create(&through, "late").await.unwrap();
    assert!(begin.elapsed() >= delay);
    let begin = Instant::now();
    create(&through, "at-once").await.unwrap();
    assert!(begin.elapsed() < delay, "only the first one waits");
}

#[tokio::test]
async fn responses_are_rewritten_document_by_document_and_some_are_withheld() {
    let TestEnv { proxy, direct, through, .. } = test_env("proxy-rewrite").await;
    let config_maps = || Rule::verb(Method::GET).path_ends_with("/configmaps").always();
    proxy.rewrite(config_maps(), |text| {
        (!text.contains("\"hidden\"")).then(|| text.replace("\"shown\"", "\"another\""))
    });
    let mut events = Box::pin(through.watch(&no_bookmarks(), "0").await.unwrap());
    for name in ["hidden", "shown"] {
        create(&direct, name).await.unwrap();
    }
    let event = tokio::time::timeout(LIMIT, events.try_next()).await.unwrap().unwrap().unwrap();
    let WatchEvent::Added(added) = event else { panic!("not an addition: {event:?}") };
    assert_eq!(added.metadata.name.as_deref(), Some("another"));

    direct.delete("hidden", &DeleteParams::default()).await.unwrap();
    let listed = through.list(&ListParams::default()).await.unwrap().items;
    let names: Vec<_> = listed.iter().filter_map(|one| one.metadata.name.as_deref()).collect();
    assert_eq!(names, ["another"]);
}

#[tokio::test]
async fn a_paused_proxy_forwards_nothing_and_catches_up_when_resumed() {
    let TestEnv { proxy, direct, through, client } = test_env("proxy-pause").await;
    let request =
        http::Request::get("/api/v1/namespaces/proxy-pause/configmaps?watch=true").body(Vec::new()).unwrap();
    let mut watch = client.request_stream(request).await.unwrap().lines();
    create(&direct, "before").await.unwrap();
    assert!(watch.try_next().await.unwrap().unwrap().contains("before"));

    proxy.pause();
    let waiting = tokio::spawn({
        let through = through.clone();
        async move { create(&through, "through").await }
    });
    eventually("the request is in the proxy", async || proxy.count(&creation()) == 1).await;
    create(&direct, "meanwhile").await.unwrap();
    let event = tokio::time::timeout(Duration::from_millis(300), watch.try_next()).await;
    assert!(event.is_err() && !waiting.is_finished());
    assert!(direct.get_opt("through").await.unwrap().is_none());

    proxy.resume();
    waiting.await.unwrap().unwrap();
    assert!(watch.try_next().await.unwrap().unwrap().contains("meanwhile"));
    assert!(watch.try_next().await.unwrap().unwrap().contains("through"));
}

#[tokio::test]
async fn a_stalled_watch_is_silent_and_a_later_watch_works() {
    let TestEnv { proxy, direct, through, .. } = test_env("proxy-stall").await;
    let mut stalled = Box::pin(through.watch(&no_bookmarks(), "0").await.unwrap());
    create(&direct, "before").await.unwrap();
    assert!(tokio::time::timeout(LIMIT, stalled.try_next()).await.unwrap().unwrap().is_some());
    proxy.stall_watches();
    create(&direct, "after").await.unwrap();

    let mut later = Box::pin(through.watch(&no_bookmarks(), "0").await.unwrap());
    for _ in ["before", "after"] {
        assert!(tokio::time::timeout(LIMIT, later.try_next()).await.unwrap().unwrap().is_some());
    }
    let event = tokio::time::timeout(Duration::from_millis(300), stalled.try_next()).await;
    assert!(event.is_err(), "neither an event nor an end: {event:?}");
}

#[tokio::test]
async fn a_dropped_proxy_ends_its_connections_and_refuses_new_ones() {
    let TestEnv { proxy, through, .. } = test_env("proxy-drop").await;
    let mut events = Box::pin(through.watch(&no_bookmarks(), "0").await.unwrap());
    let address = proxy.url().strip_prefix("http://").unwrap().to_owned();
    drop(proxy);
    let end = tokio::time::timeout(LIMIT, events.try_next()).await.unwrap();
    assert!(!matches!(end, Ok(Some(_))), "an event came after the end: {end:?}");
    eventually("connections are refused", async || tokio::net::TcpStream::connect(&address).await.is_err())
        .await;
}
