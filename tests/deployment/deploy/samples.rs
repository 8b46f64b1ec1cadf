//! The samples of `deploy/samples`.

use cde_operator::api::Reason;

use crate::deploy::fixture::{REQUEST_NAMESPACE, installed, path};

async fn create(manifest: &str) -> anyhow::Result<String> {
    let create =
        ["create", "-n", REQUEST_NAMESPACE, "-f", "-", "--dry-run=server", "--validate=strict", "-o", "name"];
    installed().await.kubectl_ok(&create, manifest).await
}

fn manifests() -> Vec<(String, String)> {
    let files = std::fs::read_dir(path("deploy/samples")).unwrap().map(|file| file.unwrap().path());
    files.map(|file| (file.display().to_string(), std::fs::read_to_string(file).unwrap())).collect()
}

#[tokio::test]
async fn the_api_server_accepts_every_field_of_every_sample() {
    let manifests = manifests();
    assert!(manifests.len() >= 12, "only {} samples", manifests.len());
    for (file, manifest) in manifests {
        create(&manifest).await.unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

#[tokio::test]
async fn a_sample_with_a_mistyped_field_is_rejected() {
    let (_, manifest) = manifests().into_iter().find(|(_, text)| text.contains("suspend: true")).unwrap();
    let error = create(&manifest.replace("suspend: true", "suspended: true")).await.unwrap_err().to_string();
    assert!(error.contains("unknown field \"spec.suspended\""), "{error}");
}

#[tokio::test]
async fn every_sample_begins_with_its_expected_result() {
    for (file, manifest) in manifests() {
        let reason =
            manifest.strip_prefix("# ").and_then(|text| text.split([':', ',']).next()).unwrap_or_default();
        let known = serde_json::from_value::<Reason>(reason.into());
        assert!(known.is_ok(), "{file} begins with {reason:?}, which is no reason of the condition Ready");
    }
}
