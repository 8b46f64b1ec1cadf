//! What `Chart.yaml` says about the chart to Helm, Artifact Hub and people.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::deploy::fixture::{installed, path};

fn read(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap()
}

fn chart() -> Value {
    serde_saphyr::from_str(&read("deploy/chart/Chart.yaml")).unwrap()
}

/// Returns the YAML in an annotation for Artifact Hub.
fn annotation(chart: &Value, name: &str) -> Value {
    let text = chart["annotations"][format!("artifacthub.io/{name}")].as_str().unwrap();
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn every_address_of_the_chart_is_below_its_home_and_names_a_file_that_exists() {
    let chart = chart();
    let home = chart["home"].as_str().unwrap();
    assert_eq!(chart["sources"], json!([home]));
    assert!(!chart["maintainers"][0]["name"].as_str().unwrap().is_empty());
    let values: Value = serde_saphyr::from_str(&read("deploy/chart/values.yaml")).unwrap();
    let mut addresses = vec![chart["icon"].clone(), values["prometheusRule"]["runbookUrl"].clone()];
    let links = annotation(&chart, "links");
    addresses.extend(links.as_array().unwrap().iter().map(|link| link["url"].clone()));
    assert!(addresses.len() > 2);
    for address in addresses {
        let file = address.as_str().unwrap().strip_prefix(home).unwrap();
        let file = file.trim_start_matches("/raw/main/").trim_start_matches("/blob/main/");
        assert!(std::fs::exists(path(file)).unwrap(), "{file}");
    }
}

#[test]
fn the_annotations_have_the_license_and_the_kinds_of_the_repository() {
    let chart = chart();
    assert_eq!(chart["annotations"]["artifacthub.io/license"], env!("CARGO_PKG_LICENSE"));
    let crds = annotation(&chart, "crds");
    let listed: BTreeSet<(&str, &str, &str)> = crds
        .as_array()
        .unwrap()
        .iter()
        .map(|crd| {
            let text = |key: &str| crd[key].as_str().unwrap();
            assert!(!text("displayName").is_empty() && !text("description").is_empty());
            (text("name"), text("kind"), text("version"))
        })
        .collect();
    let crds = cde_operator::api::crds();
    let defined = crds.iter().map(|crd| {
        (crd.metadata.name.as_deref().unwrap(), &*crd.spec.names.kind, &*crd.spec.versions[0].name)
    });
    assert_eq!(listed, defined.collect());
}

#[tokio::test]
async fn the_api_server_accepts_the_examples_in_the_annotations() {
    let control_plane = installed().await;
    let examples = annotation(&chart(), "crdsExamples");
    assert_eq!(examples.as_array().unwrap().len(), 2);
    for example in examples.as_array().unwrap() {
        let create = ["create", "-f", "-", "--dry-run=server", "--validate=strict"];
        control_plane.kubectl_ok(&create, &example.to_string()).await.unwrap();
    }
}
