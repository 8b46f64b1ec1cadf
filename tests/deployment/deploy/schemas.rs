//! kubeconform on everything that `deploy/` renders. The schemas are those that the API server publishes, because nothing
//! of the network is needed for them and they include the CRDs.

use std::path::Path;
use std::process::Command;

use cde_sandbox::control_plane::ControlPlane;
use cde_sandbox::process::{self, scratch_dir};
use serde_json::{Map, Value, json};

use crate::deploy::fixture::{path, rendered};
use crate::deploy::{chart, components, others};
use crate::tools::tools;

/// Where kubeconform finds the schema of a kind, below the directory of the schemas.
const LOCATION: &str = "{{.Group}}/{{.ResourceAPIVersion}}/{{.ResourceKind}}.json";

/// The directories with kustomizations of kinds that the API server knows, besides the base and its components.
const KUSTOMIZATIONS: [&str; 11] = [
    "crds",
    "deploy",
    "deploy/examples/connectors",
    "deploy/examples/overlay",
    "deploy/examples/prepared",
    "deploy/examples/tenant",
    "deploy/examples/tenant/shared",
    "deploy/policies/brake",
    "deploy/policies/connectors-by-namespace",
    "deploy/policies/on-call",
    "deploy/policies/production-preconditions",
];

/// Forbids unknown fields at every depth of a schema.
fn forbid_unknown_fields(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let anything = fields.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
            if fields.get("properties").is_some_and(Value::is_object) && !anything {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
            // Below these, a CRD repeats only some of its fields.
            let whole = |key: &str| !matches!(key, "allOf" | "anyOf" | "oneOf" | "not");
            fields
                .iter_mut()
                .filter(|(key, _)| whole(key))
                .for_each(|(_, value)| forbid_unknown_fields(value));
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_unknown_fields),
        _ => {}
    }
}

/// Writes the schema of every kind of the API server.
async fn write_schemas(control_plane: &ControlPlane, directory: &Path) {
    let get = async |path: &str| -> Value {
        let text = control_plane.kubectl_ok(&["get", "--raw", path], "").await.unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let index = get("/openapi/v3").await;
    for (name, document) in index["paths"].as_object().unwrap() {
        if !(name.starts_with("apis/") || name == "api/v1") {
            continue;
        }
        let mut schemas =
            get(document["serverRelativeURL"].as_str().unwrap()).await["components"]["schemas"].take();
        forbid_unknown_fields(&mut schemas);
        for (id, schema) in schemas.as_object().unwrap_or(&Map::new()) {
            for kind in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
                let text = |key: &str| kind[key].as_str().unwrap();
                // kubeconform takes the version for the group where an apiVersion has no group.
                let group = if text("group").is_empty() { text("version") } else { text("group") };
                let directory = directory.join(group).join(text("version"));
                std::fs::create_dir_all(&directory).unwrap();
                let whole = json!({
                    "$ref": format!("#/components/schemas/{id}"), "components": {"schemas": schemas},
                });
                let file = directory.join(format!("{}.json", text("kind").to_lowercase()));
                std::fs::write(file, whole.to_string()).unwrap();
            }
        }
    }
}

/// Returns what kubeconform says about these objects.
async fn kubeconform(schemas: &Path, objects: &[Value]) -> Value {
    let mut command = Command::new(&tools().await.kubeconform);
    command.args(["-strict", "-summary", "-output", "json", "-schema-location"]).arg(schemas.join(LOCATION));
    let texts: Vec<String> = objects.iter().map(Value::to_string).collect();
    let output = process::output(command, texts.join("\n---\n").as_bytes()).await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"))
}

#[tokio::test]
async fn kubeconform_accepts_everything_that_is_rendered_and_rejects_a_mistyped_field() {
    let control_plane = others::installed().await;
    let schemas = scratch_dir().unwrap();
    write_schemas(control_plane, schemas.path()).await;

    let mut rendering: Vec<(String, Vec<Value>)> = Vec::new();
    for directory in KUSTOMIZATIONS {
        rendering.push((directory.to_owned(), rendered(directory).await));
    }
    for samples in std::fs::read_dir(path("deploy/samples")).unwrap() {
        let file = samples.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        rendering.push((file.display().to_string(), serde_saphyr::from_multiple(&text).unwrap()));
    }
    rendering.extend(components::every_rendering().await);
    rendering.extend(chart::every_rendering().await);

    let mut valid = 0;
    for (what, objects) in &rendering {
        let said = kubeconform(schemas.path(), objects).await;
        let expected = json!({"valid": objects.len(), "invalid": 0, "errors": 0, "skipped": 0});
        assert_eq!(said["summary"], expected, "{what}: {said:#}");
        valid += objects.len();
    }
    eprintln!("kubeconform: {valid} objects of {} renderings are valid", rendering.len());

    let (_, base) = rendering.iter().find(|(what, _)| what == "deploy").unwrap();
    let mut mistyped = base.iter().find(|object| object["kind"] == "Deployment").unwrap().clone();
    mistyped["spec"]["template"]["spec"]["containers"][0]["imagePullpolicy"] = json!("Always");
    let said = kubeconform(schemas.path(), &[mistyped]).await;
    assert_eq!(said["summary"]["invalid"], 1, "{said:#}");
}
