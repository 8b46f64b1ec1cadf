//! Policies of the repository, for the namespace of one test: other tests share the API server.

use cde_harness::TestEnv;
use cde_sandbox::program::workspace;
use serde_json::{Value, json};

/// A policy of `deploy/policies`, bound to one namespace.
#[derive(Debug)]
pub(crate) struct Policy(String);

impl Policy {
    /// Applies it.
    pub(crate) async fn apply(env: &TestEnv, name: &str) -> Self {
        let path = workspace().join("deploy/policies").join(name).display().to_string();
        let rendered = env.kubectl(&["kustomize", &path], "").await;
        let mut objects: Vec<Value> = serde_saphyr::from_multiple(&rendered).unwrap();
        let own = format!("{name}-{}", env.namespace);
        for object in &mut objects {
            object["metadata"]["name"] = json!(own);
            if object["kind"] == "ValidatingAdmissionPolicyBinding" {
                object["spec"]["policyName"] = json!(own);
                let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": env.namespace}});
                object["spec"]["matchResources"] = json!({"namespaceSelector": selector});
            }
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        env.kubectl(&["apply", "-f", "-"], &list).await;
        Self(list)
    }

    /// Deletes it.
    pub(crate) async fn delete(self, env: &TestEnv) {
        env.kubectl(&["delete", "-f", "-"], &self.0).await;
    }
}
