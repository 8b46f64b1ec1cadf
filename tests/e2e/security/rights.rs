//! Least rights: without any single one of them something specific does not work.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use cde_sandbox::cde::{HoldPoint, Operation};
use cde_sandbox::proxy::{Call, Point, Proxy, Rule};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use cde_harness::{Flags, Kind, LIMIT, Operator, POLL, Request, TestEnv};

/// Resource with its subresource, verb.
type Right = (String, String);

/// A story that stands still for so long after the refusal of a right does not go on: its longest wait is that for the
/// renewal of the Lease, after five seconds.
const PATIENCE: Duration = Duration::from_secs(8);

/// What does not happen without a right.
fn missing(resource: &str, verb: &str) -> &'static str {
    match (resource, verb) {
        ("leases", "get" | "create") => "the lead",
        ("leases", "patch") => "the renewal of the Lease",
        ("connectorrestores" | "migrationrollbacks", "list") => "readiness",
        ("connectorrestores", "watch") | ("connectorrestores/status", "update") => "the call of the restore",
        ("migrationrollbacks", "watch") | ("migrationrollbacks/status", "update") => {
            "the call of the rollback"
        }
        ("connectorrestores", "get") => "the outcome of the restore, which somebody changed during its call",
        ("migrationrollbacks", "get") => {
            "the outcome of the rollback, which somebody changed during its call"
        }
        ("events", "create") => "an Event",
        _ => panic!("nobody knows what {verb} {resource} is needed for: take it out of deploy/rbac"),
    }
}

/// The rules of a role of the manifests, as they are in force.
async fn rules(env: &TestEnv, role: &[&str]) -> Vec<Value> {
    let get = [&["get"], role, &["-n", "cde-operator-system", "-o", "json"]].concat();
    let role: Value = serde_json::from_str(&env.control_plane.kubectl_ok(&get, "").await.unwrap()).unwrap();
    role["rules"].as_array().unwrap().clone()
}

fn texts(list: &Value) -> Vec<String> {
    serde_json::from_value(list.clone()).unwrap()
}

/// Each right that the rules give.
fn rights(rules: &[Value]) -> Vec<Right> {
    let of = |rule: &Value| {
        let (resources, verbs) = (texts(&rule["resources"]), texts(&rule["verbs"]));
        let each = resources.into_iter().map(move |resource| (resource, verbs.clone()));
        each.flat_map(|(resource, verbs)| verbs.into_iter().map(move |verb| (resource.clone(), verb)))
    };
    rules.iter().flat_map(of).collect()
}

/// The same rules, one for each right but this one.
fn without(rules: &[Value], right: Option<&Right>) -> Vec<Value> {
    let mut all = Vec::new();
    for rule in rules {
        for (resource, verb) in rights(std::slice::from_ref(rule)) {
            if right != Some(&(resource.clone(), verb.clone())) {
                all.push(json!({"apiGroups": rule["apiGroups"], "resources": [resource], "verbs": [verb]}));
            }
        }
    }
    all
}

/// An account in the environment's namespace with these rights there, and its kubeconfig, once they are in force.
async fn account(env: &TestEnv, proxy: &Proxy, rules: &[Value]) -> std::path::PathBuf {
    let namespace = &env.namespace;
    let meta = json!({"name": "operator", "namespace": namespace});
    let group = "rbac.authorization.k8s.io";
    let objects = [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}),
        json!({"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": meta, "rules": rules}),
        json!({"apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "operator"},
            "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": namespace}]}),
    ];
    let manifest = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    env.kubectl(&["apply", "-f", "-"], &manifest).await;
    let first = |field: &str| texts(&rules[0][field]).remove(0);
    let (verb, resource) = (&first("verbs"), format!("{}.{}", first("resources"), first("apiGroups")));
    let who = format!("--as=system:serviceaccount:{namespace}:operator");
    let begun = Instant::now();
    while env.try_kubectl(&["auth", "can-i", verb, &resource, &who], "").await.is_err() {
        assert!(begun.elapsed() < LIMIT, "the rights are not in force");
        tokio::time::sleep(POLL).await;
    }
    env.control_plane.service_account(namespace, "operator", Some(proxy.url())).await.unwrap()
}

/// All that an operator does in which it needs a right; `stage` says what is waited for.
async fn story(env: &TestEnv, operator: &mut Operator, stage: &Mutex<&'static str>) {
    let enter = |name| *stage.lock().unwrap() = name;
    enter(missing("leases", "get"));
    operator.wait_for_log("this replica leads").await;
    enter(missing("leases", "patch"));
    asked(env, &("leases".to_owned(), "patch".to_owned()), 200).await;
    enter(missing("connectorrestores", "list"));
    operator.ready().await;
    for (kind, plural) in [(Kind::Restore, "connectorrestores"), (Kind::Rollback, "migrationrollbacks")] {
        let request = Request::new(kind, "needs");
        env.sandbox.put(request.ready_connector());
        let mut held = env.sandbox.hold(Operation::Changing, request.id, HoldPoint::AfterEffect);
        enter(missing(plural, "watch"));
        env.apply(&request.manifest()).await;
        held.arrived_within(LIMIT).await.unwrap();
        enter(missing(plural, "get"));
        env.patch(&request, json!({"metadata": {"labels": {"changed": "meanwhile"}}})).await;
        held.release();
        env.wait_for(&request, request.success()).await;
        if kind == Kind::Rollback {
            enter(missing("events", "create"));
            env.until_events(&request.name, 1).await;
        }
    }
}

/// Waits until the API server has answered the environment's operator so, when it used that right.
async fn asked(env: &TestEnv, (resource, verb): &Right, code: u16) {
    let account = format!("system:serviceaccount:{}:operator", env.namespace);
    let begun = Instant::now();
    loop {
        let answered = env.audit().into_iter().any(|event| {
            let subresource = Some(event.subresource).filter(|it| !it.is_empty());
            let whole = subresource.map_or(event.resource.clone(), |it| format!("{}/{it}", event.resource));
            event.user == account && event.code == code && event.verb == *verb && whole == *resource
        });
        if answered {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "it never wanted to {verb} {resource}");
        tokio::time::sleep(POLL).await;
    }
}

/// Tells the story without a right; what was waited for in vain, if anything was.
async fn told_without(rules: &[Value], right: Option<&Right>) -> Option<&'static str> {
    let env = TestEnv::new().await;
    let proxy = Proxy::start(&env.control_plane).await.unwrap();
    // Where the API server streams lists, nobody needs to list.
    let streamed = Rule::any().and("a streamed list", Call::is_streamed_list).always();
    let refused = json!({"kind": "Status", "apiVersion": "v1", "code": 422, "reason": "Invalid"});
    proxy.answer(streamed, Point::BeforeForward, 422, &[], refused.to_string());
    let kubeconfig = account(&env, &proxy, &without(rules, right)).await;
    let flags = Flags::fast_retries()
        .env("CDE_LEADER_ELECTION", "true")
        .env("POD_NAMESPACE", &env.namespace)
        .without_readiness_wait();
    let mut operator = env.start_as(&kubeconfig, flags).await;
    let stage = Mutex::new("");
    let story = story(&env, &mut operator, &stage);
    let Some(right) = right else {
        story.await;
        return None;
    };
    let impatient = async {
        asked(&env, right, 403).await;
        let now = || *stage.lock().unwrap();
        let mut before = "";
        while before != now() {
            before = now();
            tokio::time::sleep(PATIENCE).await;
        }
    };
    tokio::select! {
        () = story => None,
        () = impatient => Some(*stage.lock().unwrap()),
    }
}

#[tokio::test]
async fn each_right_is_needed_for_something_that_does_not_work_without_it() {
    let env = TestEnv::new().await;
    let mut rules_ = rules(&env, &["clusterrole", "cde-operator"]).await;
    rules_.extend(rules(&env, &["role", "cde-operator-leases"]).await);
    let all = rights(&rules_);
    assert!(all.len() > 10, "{all:?}");

    assert_eq!(told_without(&rules_, None).await, None, "with all of them all works");

    let rules_ = &rules_;
    let told = stream::iter(&all).map(async |right| (right, told_without(rules_, Some(right)).await));
    let told: Vec<_> = told.buffer_unordered(8).collect().await;
    for ((resource, verb), in_vain) in told {
        assert_eq!(in_vain, Some(missing(resource, verb)), "without {verb} {resource}");
    }
}
