//! The values: they cover every flag, each has an effect, and those that the program would reject are rejected.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cde_sandbox::process;
use serde_json::{Value, json};

use super::{Helm, choices, everything, everything_of_a_login, program, rendered, values};
use crate::deploy::fixture::path;

#[tokio::test]
async fn lint_reports_no_problem() {
    let helm = Helm::new().await;
    let lint = ["lint", "--strict", &path("deploy/chart")];
    for (what, values) in choices().into_iter().chain([("by default", Value::Null)]) {
        let told = helm.run(&lint, &values).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(told.contains("1 chart(s) linted, 0 chart(s) failed"), "{what}: {told}");
        assert!(!told.contains("[WARNING]") && !told.contains("[ERROR]"), "{what}: {told}");
    }
    assert!(helm.run(&lint, &values(json!({"replicaCount": "two"}))).await.is_err());
}

#[tokio::test]
async fn every_flag_of_the_program_has_a_value() {
    let flags: BTreeSet<String> = program::flags().await.into_keys().collect();
    let mut set = rendered(&everything()).await.flags();
    set.extend(rendered(&everything_of_a_login()).await.flags());
    let reached: BTreeSet<String> = set.into_keys().collect();
    assert_eq!(
        reached, flags,
        "left: what deploy/chart sets, right: the flags of the program; see cde-operator.env in _helpers.tpl"
    );
}

#[tokio::test]
async fn each_flag_gets_the_given_value() {
    let set = rendered(&everything()).await.flags();
    let expected = [
        ("url", "https://cde.example.com:8443/base"),
        ("token-file", "/var/run/secrets/cde/token"),
        ("allow-http", "true"),
        ("ca-file", "/var/run/cde-ca/ca.crt"),
        ("timeout", "1m30s"),
        ("rate", "2000000"),
        ("concurrency", "8"),
        ("retry-min", "500ms"),
        ("retry-max", "1h30m"),
        ("deadline", "0"),
        ("namespaces", "connectors,default"),
        ("selector", "team in (a,b),!paused"),
        ("leader-election", "true"),
        ("listen", "[::]:9090"),
        ("log-format", "text"),
        ("log-level", "debug"),
        ("otlp-endpoint", "http://collector.example.com:4318"),
    ];
    for (flag, value) in expected {
        assert_eq!(set.get(flag).map(String::as_str), Some(value), "--{flag}");
    }
}

#[tokio::test]
async fn unset_values_leave_the_defaults_of_the_program() {
    let defaults = program::flags().await;
    let mut set = rendered(&values(json!({}))).await.flags();
    for (flag, value) in [
        ("url", "https://cde.example.com"),
        ("token-file", "/var/run/secrets/cde/token"),
        ("leader-election", "true"),
        ("log-format", "json"),
    ] {
        assert_eq!(set.remove(flag).as_deref(), Some(value), "--{flag}");
    }
    for (flag, value) in set {
        assert_eq!(defaults[&flag].as_deref(), Some(value.as_str()), "--{flag}");
    }
}

#[tokio::test]
async fn the_program_accepts_the_variables_of_every_choice() {
    let helm = Helm::new().await;
    for (what, values) in choices() {
        let objects = helm.template(&values).await;
        let args = objects.container()["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
        let mut operator = Command::new(cde_harness::operator_program());
        operator.args(args).env_clear().envs(program::variables(objects.container()));
        let ended = process::output(operator, b"").await.unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        // The only remaining error is about what only a pod has: a mounted file, or access to Kubernetes.
        let flags = objects.flags();
        let file = flags.get("token-file").or(flags.get("ca-file")).map(String::as_str);
        assert_eq!(ended.status.code(), Some(2), "{what}: {said}");
        assert!(said.contains(file.unwrap_or("no access to Kubernetes is configured")), "{what}: {said}");
    }
}

#[tokio::test]
async fn invalid_values_are_rejected_with_a_sentence_that_names_them() {
    let helm = Helm::new().await;
    let long = json!({"cde": {"timeout": "1m"}, "terminationGracePeriodSeconds": 45});
    for (wrong, words) in [
        (json!({"cde": {"url": ""}}), "cde.url must be the base URL of the CDE API"),
        (json!({"cde": {"url": "cde.example.com"}}), "cde.url must begin with https://"),
        (json!({"cde": {"url": "http://cde.example.com"}}), "use https, or set cde.allowHttp"),
        (json!({"cde": {"url": "https://me:secret@cde.example.com"}}), "must not contain a user or password"),
        (json!({"cde": {"url": "https://cde.example.com/?a"}}), "remove what begins with ? or #"),
        (
            json!({"cde": {"token": {"secret": ""}}}),
            "create secret generic cde-operator-token --from-file=token=",
        ),
        (json!({"cde": {"token": {"value": "secret"}}}), "'value'"),
        (json!({"cde": {"ca": {"configMap": "a", "secret": "b"}}}), "both configMap and secret"),
        (
            json!({"proxy": {"https": "http://me:secret@proxy:3128"}}),
            "set the URL from a Secret with extraEnv",
        ),
        (json!({"cde": {"timeout": "30 seconds"}}), "cde.timeout is \"30 seconds\", which is not a duration"),
        (json!({"cde": {"timeout": "56m"}}), "cde.timeout must be between 100ms and 55m"),
        (json!({"cde": {"timeout": "99ms"}}), "cde.timeout must be between 100ms and 55m"),
        (json!({"cde": {"timeout": 30}}), "/cde/timeout"),
        (json!({"cde": {"rate": -1}}), "/cde/rate"),
        (json!({"retryMin": "2m", "retryMax": "1m"}), "retryMin is longer than retryMax"),
        (json!({"retryMin": "0s", "retryMax": "0s"}), "retryMax must be longer than 0s"),
        (json!({"deadline": "tomorrow"}), "deadline is \"tomorrow\", which is not a duration"),
        (json!({"deadline": 5}), "/deadline"),
        (json!({"concurrency": 0}), "/concurrency"),
        (json!({"namespaces": ["Upper"]}), "/namespaces/0"),
        (json!({"namespaces": ["a", "a"]}), "/namespaces"),
        (json!({"listen": "127.0.0.1:8080"}), "/listen"),
        (json!({"log": {"format": "xml"}}), "/log/format"),
        (json!({"replicaCount": 2, "leaderElection": false}), "leaderElection is false"),
        (json!({"replicaCount": 2, "podDisruptionBudget": {"minAvailable": 2}}), "lets no pod go"),
        (json!({"replicaCount": 2, "podDisruptionBudget": {"maxUnavailable": 0}}), "lets no pod go"),
        (json!({"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}}), "set only one of them"),
        (json!({"image": {"repository": ""}}), "image.repository must be the image that you have pushed"),
        (long, "terminationGracePeriodSeconds must be at least cde.timeout (1m) plus 10 s"),
        (
            json!({"metrics": {"podMonitor": {"enabled": true}, "serviceMonitor": {"enabled": true}}}),
            "would scrape every metric twice",
        ),
        (json!({"extraEnv": [{"name": "CDE_RATE", "value": "5"}]}), "extraEnv sets CDE_RATE"),
        (json!({"image": {"digest": "sha256:short"}}), "/image/digest"),
        (json!({"networkPolicy": {"preset": "calico"}}), "/networkPolicy/preset"),
        (json!({"metrics": {"service": {"ipFamilies": ["IPv5"]}}}), "/metrics/service/ipFamilies"),
        (json!({"prometheusRule": {"runbookUrl": "docs/runbook.md"}}), "/prometheusRule/runbookUrl"),
        (json!({"leaderElected": true}), "'leaderElected'"),
    ] {
        let refused = helm.yaml("cde-operator", &values(wrong.clone())).await;
        let error = refused.err().unwrap_or_else(|| panic!("{wrong} is not rejected"));
        assert!(error.contains(words), "{wrong} does not say {words:?}: {error}");
        assert!(!error.contains("me:secret"), "{error}");
    }
}

/// Returns the values in a page of the documentation.
pub(super) fn documented(page: &str) -> Value {
    let text = std::fs::read_to_string(path(page)).unwrap();
    let (_, rest) = text.split_once("# values.yaml\n").unwrap();
    serde_saphyr::from_str(rest.split_once("```").unwrap().0).unwrap()
}

#[tokio::test]
async fn the_values_in_the_documentation_are_accepted() {
    let objects = rendered(&documented("docs/install.md")).await;
    for kind in ["PodMonitor", "NetworkPolicy", "PodDisruptionBudget", "Deployment"] {
        objects.only(kind);
    }
    rendered(&documented("docs/credentials.md")).await.named("Role", "cde-operator-login");
}

/// Collects the leaves below `value` by their paths. An empty value or a list counts as one leaf.
fn leaves(value: &Value, at: &str, into: &mut BTreeMap<String, Value>) {
    match value.as_object().filter(|object| !object.is_empty()) {
        Some(object) => {
            for (key, value) in object {
                leaves(value, &format!("{at}/{key}"), into);
            }
        }
        None => drop(into.insert(at.to_owned(), value.clone())),
    }
}

fn by_default() -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(path("deploy/chart/values.yaml")).unwrap();
    let mut found = BTreeMap::new();
    leaves(&serde_saphyr::from_str(&text).unwrap(), "", &mut found);
    found
}

#[test]
fn the_schema_lists_exactly_the_values() {
    fn properties(schema: &Value, at: &str, into: &mut BTreeSet<String>) {
        match schema["properties"].as_object() {
            Some(all) => {
                assert_eq!(schema["additionalProperties"], false, "{at} takes anything");
                all.iter().for_each(|(key, schema)| properties(schema, &format!("{at}/{key}"), into));
            }
            None => drop(into.insert(at.to_owned())),
        }
    }
    let schema = std::fs::read_to_string(path("deploy/chart/values.schema.json")).unwrap();
    let mut known = BTreeSet::new();
    properties(&serde_json::from_str(&schema).unwrap(), "", &mut known);
    // Values that a parent chart gives to its parts.
    known.remove("/global");
    known.remove("/enabled");
    let mut given: BTreeSet<String> = by_default().into_keys().collect();
    // The schema allows any Kubernetes content in these.
    for group in ["/resources", "/strategy", "/podSecurityContext", "/securityContext", "/dashboard/labels"] {
        given.retain(|path| !path.starts_with(&format!("{group}/")));
        given.insert(group.to_owned());
    }
    assert_eq!(given, known);
}

#[tokio::test]
async fn every_value_has_an_effect() {
    let mut tried = BTreeSet::new();
    for mut base in [everything(), everything_of_a_login()] {
        // A digest hides the tag, and a full name hides the other name.
        base["image"].as_object_mut().unwrap().remove("digest");
        base.as_object_mut().unwrap().remove("fullnameOverride");
        tried.extend(values_with_an_effect(&base).await);
    }
    for value in ["/cde/token/key", "/cde/oauth/assumeLifetime", "/networkPolicy/oauth/cidrs"] {
        assert!(tried.contains(value), "{value} was not tried");
    }
    assert!(tried.len() > 55, "only {} values were tried", tried.len());
}

/// Sets each value of `base` back to its default, and returns those that were tried. A value that makes no difference
/// fails the test.
async fn values_with_an_effect(base: &Value) -> BTreeSet<String> {
    const REQUIRED: [&str; 7] = [
        "/image/repository",
        "/cde/url",
        "/cde/token/secret",
        "/cde/oauth/secretName",
        "/cde/oauth/clientId",
        "/cde/oauth/tokenUrl",
        "/cde/oauth/authorizationUrl",
    ];
    let helm = Helm::new().await;
    // The check's pod follows the operator's pod, so a difference only there does not count.
    let installed = async |values: &Value| {
        let mut objects = helm.template(values).await.0;
        objects.retain(|object| object["kind"] != "Pod");
        objects
    };
    let all = installed(base).await;
    let mut tried = BTreeSet::new();
    for (at, default) in by_default() {
        let mut without = base.clone();
        let Some(value) = without.pointer_mut(&at).filter(|value| **value != default) else { continue };
        *value = default;
        if REQUIRED.contains(&at.as_str()) {
            continue;
        }
        assert_ne!(installed(&without).await, all, "{at} makes no difference");
        tried.insert(at);
    }
    tried
}
