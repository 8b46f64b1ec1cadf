//! Where the settings come from.

use cde_operator::oauth::key;
use serde_json::{Value, json};

use super::fixture::{Person, SECRET, Waiting, run};

/// Creates the operator's Deployment, whose pods need not run.
async fn deploy(person: &Person, name: &str, env: Value, env_from: Value) {
    let labels = json!({"app.kubernetes.io/name": "cde-operator"});
    let sidecar = json!({"name": "a-sidecar", "image": "sidecar", "env": [{"name": "CDE_OAUTH_SECRET", "value": "wrong"}]});
    let container =
        json!({"name": "cde-operator", "image": "cde-operator:9.8.7", "env": env, "envFrom": env_from});
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": person.namespace, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [sidecar, container]}},
        },
    });
    person.control_plane.kubectl_ok(&["create", "-f", "-"], &deployment.to_string()).await.unwrap();
}

async fn config_map(person: &Person, name: &str, data: Value) {
    let metadata = json!({"name": name, "namespace": person.namespace});
    let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
    person.control_plane.kubectl_ok(&["create", "-f", "-"], &config_map.to_string()).await.unwrap();
}

fn readers(resources: &[(&str, &str, &[&str])]) -> Value {
    let rule = |(group, resource, verbs): &(&str, &str, &[&str])| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    resources.iter().map(rule).collect()
}

const DEPLOYMENTS: (&str, &str, &[&str]) = ("apps", "deployments", &["get", "list"]);
const CONFIG_MAPS: (&str, &str, &[&str]) = ("", "configmaps", &["get"]);

#[tokio::test]
async fn the_operators_deployment_says_who_the_authorization_server_is() {
    let person = Person::new().await;
    person.allow("read-operator", readers(&[DEPLOYMENTS, CONFIG_MAPS])).await;
    let (server, tokens) =
        (person.server.authorization_url().to_string(), person.server.token_url().to_string());
    config_map(&person, "all", json!({"CDE_OAUTH_CLIENT_ID": "overridden", "CDE_OAUTH_TOKEN_URL": tokens}))
        .await;
    config_map(&person, "prefixed", json!({"SCOPES": "connectors offline_access"})).await;
    config_map(&person, "key", json!({"url": server})).await;
    let reference = json!({"configMapKeyRef": {"name": "key", "key": "url"}});
    let env = json!([
        {"name": "CDE_OAUTH_SECRET", "value": SECRET},
        {"name": "CDE_OAUTH_CLIENT_ID", "value": "cde-operator"},
        {"name": "CDE_OAUTH_AUTHORIZATION_URL", "valueFrom": reference},
    ]);
    let env_from = json!([
        {"configMapRef": {"name": "all"}},
        {"prefix": "CDE_OAUTH_", "configMapRef": {"name": "prefixed"}},
        {"configMapRef": {"name": "missing", "optional": true}},
    ]);
    deploy(&person, "cde-operator", env, env_from).await;
    let mut waiting = Waiting::start(person.plugin(&["login", "--no-browser"])).await;
    assert_eq!(waiting.parameter("scope"), "connectors offline_access");
    let redirect = person.server.log_in(&waiting.url).await.unwrap();
    waiting.paste(redirect.as_str()).await;
    assert_eq!(waiting.end().await.code, 0);
    assert!(person.stored().await.contains_key(key::ACCESS_TOKEN));
    let version = run(person.plugin(&["version"])).await;
    assert!(version.code == 0 && version.stdout.ends_with("Operator:  cde-operator:9.8.7\n"), "{version:?}");

    // Flags win over the environment, which wins over the Deployment.
    let mut command = person.plugin(&["login", "--no-browser", "--yes", "--client-id", "from-flag"]);
    command.env("CDE_OAUTH_CLIENT_ID", "from-environment").env("CDE_OAUTH_SCOPES", "from-environment");
    let waiting = Waiting::start(command).await;
    assert_eq!(waiting.parameter("client_id"), "from-flag");
    assert_eq!(waiting.parameter("scope"), "from-environment");
}

#[tokio::test]
async fn several_operators_are_told_apart_by_name() {
    let person = Person::new().await;
    person.allow("read-operator", readers(&[DEPLOYMENTS])).await;
    for name in ["a", "b"] {
        let env = json!([{"name": "CDE_OAUTH_SECRET", "value": format!("{SECRET}-{name}")}]);
        deploy(&person, name, env, json!([])).await;
    }
    let ended = run(person.plugin(&["whoami"])).await;
    assert!(ended.code == 2 && ended.stderr.contains("choose one with --operator"), "{ended:?}");
    let ended = run(person.plugin(&["whoami", "--operator", "b"])).await;
    assert!(ended.code == 3 && ended.stderr.contains(&format!("secrets {SECRET}-b ")), "{ended:?}");
    let ended = run(person.plugin(&["whoami", "--operator", "c"])).await;
    assert!(ended.code == 3 && ended.stderr.contains("deployments c does not exist"), "{ended:?}");
}

#[tokio::test]
async fn a_missing_value_says_which_flag_sets_it_and_why_it_is_unknown() {
    let person = Person::new().await;
    let flags = person.flags();
    let all: Vec<(&str, Vec<String>)> = vec![
        ("--secret", flags[0..2].to_vec()),
        ("--client-id", flags[2..4].to_vec()),
        ("--authorization-url", flags[4..5].to_vec()),
        ("--token-url", flags[5..6].to_vec()),
    ];
    for (missing, _) in &all {
        let given = all.iter().filter(|(flag, _)| flag != missing).flat_map(|(_, args)| args);
        let mut command = person.plugin(&["login", "--no-browser"]);
        command.args(given);
        let ended = run(command).await;
        assert_eq!(ended.code, 2, "{ended:?}");
        let says = format!("error: set {missing} or the environment variable CDE_OAUTH_");
        assert!(ended.stderr.starts_with(&says), "{ended:?}");
        assert!(ended.stderr.contains("you may not list deployments"), "{ended:?}");
    }
}

#[tokio::test]
async fn an_unsafe_url_or_an_unknown_flag_is_one_sentence() {
    let person = Person::new().await;
    for (args, says) in [
        (
            vec!["--token-url", "http://login.example.com/token"],
            "--token-url would send credentials unencrypted",
        ),
        (
            vec!["--authorization-url", "https://u:hunter2@login.example.com/"],
            "--authorization-url must not contain a user",
        ),
        (vec!["--client-secret-file", "/no/such/file"], "--client-secret-file /no/such/file cannot be read"),
        (vec!["--ca-file", "/no/such/file"], "--ca-file /no/such/file cannot be read"),
        (vec!["--prot", "1"], "unexpected argument '--prot'"),
        (vec!["--request-timeout", "soon"], "--request-timeout"),
    ] {
        let ended = run(person.login(&args)).await;
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains(says) && !ended.stderr.contains("hunter2"), "{ended:?}");
        assert_eq!(ended.stderr.trim_end().lines().count(), 1, "{ended:?}");
    }
}

#[tokio::test]
async fn the_secret_of_the_operators_client_is_asked_for() {
    let person = Person::new().await;
    person.allow("read-operator", readers(&[DEPLOYMENTS])).await;
    let env = json!([{"name": "CDE_OAUTH_CLIENT_SECRET_FILE", "value": "/var/run/secrets/cde-oauth/client-secret"}]);
    deploy(&person, "cde-operator", env, json!([])).await;
    let ended = run(person.login(&[])).await;
    assert!(ended.code == 2 && ended.stderr.contains("set --client-secret-file"), "{ended:?}");
}
