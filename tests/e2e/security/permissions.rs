//! Least privilege: without any single permission, something specific does not work.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use cde_sandbox::cde::{HoldPoint, Operation};
use cde_sandbox::proxy::{Call, Point, Proxy, Rule};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use cde_harness::{Flags, Kind, LIMIT, Operator, POLL, Request, TestEnv};

/// A resource with its subresource, and a verb.
type Permission = (String, String);

/// A run that stands still for this long after a forbidden request does not continue. Its longest wait is the one for
/// the renewal of the Lease, after five seconds.
const PATIENCE: Duration = Duration::from_secs(8);

/// Returns what does not happen without a permission.
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
        _ => panic!("nothing needs {verb} {resource}: remove it from deploy/rbac"),
    }
}

/// Returns the rules of a role of the manifests, as they are in force.
async fn rules(env: &TestEnv, role: &[&str]) -> Vec<Value> {
    let get = [&["get"], role, &["-n", "cde-operator-system", "-o", "json"]].concat();
    let role: Value = serde_json::from_str(&env.control_plane.kubectl_ok(&get, "").await.unwrap()).unwrap();
    role["rules"].as_array().unwrap().clone()
}

fn texts(list: &Value) -> Vec<String> {
    serde_json::from_value(list.clone()).unwrap()
}

/// Returns each permission that the rules grant.
fn permissions(rules: &[Value]) -> Vec<Permission> {
    let of = |rule: &Value| {
        let (resources, verbs) = (texts(&rule["resources"]), texts(&rule["verbs"]));
        let each = resources.into_iter().map(move |resource| (resource, verbs.clone()));
        each.flat_map(|(resource, verbs)| verbs.into_iter().map(move |verb| (resource.clone(), verb)))
    };
    rules.iter().flat_map(of).collect()
}

/// Returns the same rules as one rule per permission, without this one.
fn without(rules: &[Value], permission: Option<&Permission>) -> Vec<Value> {
    let mut all = Vec::new();
    for rule in rules {
        for (resource, verb) in permissions(std::slice::from_ref(rule)) {
            if permission != Some(&(resource.clone(), verb.clone())) {
                all.push(json!({"apiGroups": rule["apiGroups"], "resources": [resource], "verbs": [verb]}));
            }
        }
    }
    all
}

/// Creates an account in the environment's namespace with these permissions there. Returns its kubeconfig once they
/// are in force.
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
        assert!(begun.elapsed() < LIMIT, "the permissions are not in force");
        tokio::time::sleep(POLL).await;
    }
    env.control_plane.service_account(namespace, "operator", Some(proxy.url())).await.unwrap()
}

/// Does everything for which an operator needs a permission. `stage` names what is awaited.
async fn exercise(env: &TestEnv, operator: &mut Operator, stage: &Mutex<&'static str>) {
    let enter = |name| *stage.lock().unwrap() = name;
    enter(missing("leases", "get"));
    operator.wait_for_log("this replica leads").await;
    enter(missing("leases", "patch"));
    was_answered(env, &("leases".to_owned(), "patch".to_owned()), 200).await;
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

/// Waits until the API server has answered the environment's operator with this code when it used that permission.
async fn was_answered(env: &TestEnv, (resource, verb): &Permission, code: u16) {
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
        assert!(begun.elapsed() < LIMIT, "it never used {verb} {resource}");
        tokio::time::sleep(POLL).await;
    }
}

/// Runs everything without one permission. Returns what was awaited in vain, if anything was.
async fn exercise_without(rules: &[Value], permission: Option<&Permission>) -> Option<&'static str> {
    let env = TestEnv::new().await;
    let proxy = Proxy::start(&env.control_plane).await.unwrap();
    // Where the API server streams lists, the operator does not need to list.
    let streamed = Rule::any().and("a streamed list", Call::is_streamed_list).always();
    let refused = json!({"kind": "Status", "apiVersion": "v1", "code": 422, "reason": "Invalid"});
    proxy.answer(streamed, Point::BeforeForward, 422, &[], refused.to_string());
    let kubeconfig = account(&env, &proxy, &without(rules, permission)).await;
    let flags = Flags::fast_retries()
        .env("CDE_LEADER_ELECTION", "true")
        .env("POD_NAMESPACE", &env.namespace)
        .without_readiness_wait();
    let mut operator = env.start_as(&kubeconfig, flags).await;
    let stage = Mutex::new("");
    let exercise = exercise(&env, &mut operator, &stage);
    let Some(permission) = permission else {
        exercise.await;
        return None;
    };
    let impatient = async {
        was_answered(&env, permission, 403).await;
        let now = || *stage.lock().unwrap();
        let mut before = "";
        while before != now() {
            before = now();
            tokio::time::sleep(PATIENCE).await;
        }
    };
    tokio::select! {
        () = exercise => None,
        () = impatient => Some(*stage.lock().unwrap()),
    }
}

#[tokio::test]
async fn each_permission_is_needed_for_something_that_fails_without_it() {
    let env = TestEnv::new().await;
    let mut rules_ = rules(&env, &["clusterrole", "cde-operator"]).await;
    rules_.extend(rules(&env, &["role", "cde-operator-leases"]).await);
    let all = permissions(&rules_);
    assert!(all.len() > 10, "{all:?}");

    assert_eq!(exercise_without(&rules_, None).await, None, "with all permissions everything works");

    let rules_ = &rules_;
    let told = stream::iter(&all)
        .map(async |permission| (permission, exercise_without(rules_, Some(permission)).await));
    let told: Vec<_> = told.buffer_unordered(8).collect().await;
    for ((resource, verb), in_vain) in told {
        assert_eq!(in_vain, Some(missing(resource, verb)), "without {verb} {resource}");
    }
}
