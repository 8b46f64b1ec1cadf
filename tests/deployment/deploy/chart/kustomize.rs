//! The chart and the kustomize base say the same.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Objects, program, rendered, values};
use crate::deploy::fixture;

/// What the base says, and the chart with the base's address.
async fn both() -> (Objects, Objects) {
    let base = Objects(fixture::rendered("deploy").await);
    let url = base.only("ConfigMap")["data"]["CDE_URL"].clone();
    let chart = rendered(&values(json!({"cde": {"url": url}}))).await;
    (base, chart)
}

/// Labels name the tool; those of aggregation have a meaning.
fn without_tools(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(labels) = object["metadata"]["labels"].as_object_mut() {
        labels.retain(|key, _| key.starts_with("rbac.authorization.k8s.io/"));
    }
    object
}

#[tokio::test]
async fn accounts_roles_and_bindings_are_those_of_the_base() {
    let (base, chart) = both().await;
    let mut compared = 0;
    for kind in ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"] {
        assert_eq!(chart.of(kind).len(), base.of(kind).len(), "{kind}");
        for object in base.of(kind) {
            let twin = chart.named(kind, object["metadata"]["name"].as_str().unwrap());
            assert_eq!(without_tools(twin), without_tools(object));
            compared += 1;
        }
    }
    assert_eq!(compared, 7);
}

#[tokio::test]
async fn the_pod_is_that_of_the_base_but_for_the_way_it_is_told_its_configuration() {
    let (base, chart) = both().await;
    let spec_of = |objects: &Objects| {
        let mut spec = objects.pod()["spec"].clone();
        let container = spec["containers"][0].as_object_mut().unwrap();
        for told in ["args", "env", "envFrom", "imagePullPolicy"] {
            container.remove(told);
        }
        spec
    };
    assert_eq!(spec_of(&chart), spec_of(&base));
    for key in ["replicas", "strategy"] {
        assert_eq!(chart.only("Deployment")["spec"][key], base.only("Deployment")["spec"][key]);
    }
}

/// The variables that Kubernetes fills in.
fn filled_in(objects: &Objects) -> Vec<&Value> {
    objects.container()["env"].as_array().unwrap().iter().filter(|one| one["valueFrom"].is_object()).collect()
}

/// All flags as the program sees them: what is set, and else its own default.
async fn configuration(objects: &Objects) -> BTreeMap<String, Option<String>> {
    let mut told = program::variables(objects.container());
    for map in objects.of("ConfigMap") {
        told.extend(serde_json::from_value::<BTreeMap<_, _>>(map["data"].clone()).unwrap());
    }
    let mut told = program::set_by(told);
    for arg in objects.container()["args"].as_array().unwrap() {
        if let Some((flag, value)) = arg.as_str().unwrap().trim_start_matches("--").split_once('=') {
            told.insert(flag.to_owned(), value.to_owned());
        }
    }
    let mut all = program::flags().await;
    for (flag, value) in told {
        assert!(all.insert(flag.clone(), Some(value)).is_some(), "there is no --{flag}");
    }
    all
}

#[tokio::test]
async fn the_configuration_is_that_of_the_base() {
    let (base, chart) = both().await;
    assert_eq!(filled_in(&chart), filled_in(&base));
    assert_eq!(configuration(&chart).await, configuration(&base).await);
}
