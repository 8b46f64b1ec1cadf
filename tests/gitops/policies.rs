//! Policies of the repository, for the namespace of one test: other tests share the API server.

use cde_harness::{Kind, Request, TestEnv};
use cde_sandbox::program::workspace;
use serde_json::{Value, json};

use crate::controller::eventually;

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

    /// Applies the emergency brake, and returns once the API server enforces it.
    pub(crate) async fn brake(env: &TestEnv) -> Self {
        let brake = Self::apply(env, "brake").await;
        let probe = Request::new(Kind::Rollback, "probe");
        env.apply(&probe.manifest().spec("suspend", true)).await;
        let claim = json!({"holder": "probe", "attempt": 1, "until": "2026-01-01T00:00:00Z"});
        let claim = json!({"status": {"operation": {"inFlight": claim}}}).to_string();
        let patch = ["patch", "mrb", &probe.name, "--subresource=status", "--dry-run=server", "--type=merge"];
        eventually("the brake is enforced", async || {
            let told = env.try_kubectl(&[&patch[..], &["-p", &claim]].concat(), "").await;
            told.err().filter(|refusal| refusal.contains("emergency brake"))
        })
        .await;
        brake
    }

    /// Waits until an operator has tried to claim this request, in vain.
    pub(crate) async fn until_it_refuses_a_claim_of(&self, env: &TestEnv, request: &Request) {
        let refused =
            async || env.operator_writes(&request.name).iter().any(|write| write.code == 422).then_some(());
        eventually("a claim is refused", refused).await;
    }

    /// Deletes it.
    pub(crate) async fn delete(self, env: &TestEnv) {
        env.kubectl(&["delete", "-f", "-"], &self.0).await;
    }
}
