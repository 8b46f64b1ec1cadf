//! The control plane of a test environment: a shared one, or a separate one for a test that stops it or changes its
//! CRDs.

use std::ops::Deref;
use std::time::Instant;

use cde_sandbox::control_plane::{ControlPlane as Servers, OPERATOR_NAMESPACE};
use cde_sandbox::program::workspace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use tokio::sync::OnceCell;

use super::{LIMIT, POLL};

/// The control plane of a test environment.
#[derive(Debug)]
pub enum ControlPlane {
    /// Shared with other tests, CRDs included. It must not be stopped.
    Shared(&'static Servers),
    /// Ends with its test environment.
    Own(Box<Servers>),
}

/// The control plane that all tests of a program share by default.
pub static SHARED: SharedControlPlane = SharedControlPlane::new();

/// A control plane that several tests share, with all of `deploy/` except the Deployment. The first test starts it.
#[derive(Debug, Default)]
pub struct SharedControlPlane(OnceCell<Servers>);

impl SharedControlPlane {
    /// Returns a control plane that is not started yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceCell::const_new())
    }

    /// Returns the running control plane.
    pub async fn get(&'static self) -> &'static Servers {
        let start = async || {
            let servers = start().await;
            servers.install(|_, _| ()).await.expect("deploy/ is installed");
            wait_for_kinds(&servers).await;
            servers
        };
        self.0.get_or_init(start).await
    }
}

impl ControlPlane {
    /// Starts another one, with the permissions of the manifests but without the CRDs.
    pub async fn own() -> Self {
        let servers = start().await;
        let namespace = ["create", "namespace", OPERATOR_NAMESPACE];
        servers.kubectl_ok(&namespace, "").await.expect("the operator's namespace");
        apply(&servers, "deploy/rbac").await;
        Self::Own(Box::new(servers))
    }

    /// Applies `crds/` and waits until the API server serves both kinds.
    pub async fn apply_crds(&self) {
        apply(self, "crds").await;
        self.wait_for_kinds().await;
    }

    /// Applies the CRDs after `change` to the schema of `status`.
    pub async fn apply_crds_with_status(&self, change: impl Fn(&mut JSONSchemaProps)) {
        self.apply_crds_with(|schema| change(property(schema, "status"))).await;
    }

    /// Applies the CRDs after `change` to the whole schema.
    pub async fn apply_crds_with(&self, change: impl Fn(&mut JSONSchemaProps)) {
        for mut crd in cde_operator::api::crds() {
            let validation = crd.spec.versions[0].schema.as_mut();
            let schema = validation.and_then(|validation| validation.open_api_v3_schema.as_mut());
            change(schema.expect("a schema"));
            let json = serde_json::to_string(&crd).expect("a CRD is JSON");
            self.kubectl_ok(&["apply", "--server-side", "-f", "-"], &json).await.expect("it is applied");
        }
        self.wait_for_kinds().await;
    }

    /// Waits until the API server serves both kinds and their schemas.
    pub async fn wait_for_kinds(&self) {
        wait_for_kinds(self).await;
    }
}

async fn start() -> Servers {
    Servers::start().await.unwrap_or_else(|error| panic!("{error:#}"))
}

async fn apply(servers: &Servers, part: &str) {
    let path = workspace().join(part).display().to_string();
    let apply = ["apply", "--server-side", "--force-conflicts", "-k", &path];
    servers.kubectl_ok(&apply, "").await.expect("it is applied");
}

async fn wait_for_kinds(servers: &Servers) {
    let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
    servers.kubectl_ok(&established, "").await.expect("the kinds are served");
    for kind in ["connectorrestores", "migrationrollbacks"] {
        wait_for_explain(servers, kind).await;
    }
}

/// Waits for `kubectl explain`, which reads a document that appears shortly after the kind is served.
async fn wait_for_explain(servers: &Servers, kind: &str) {
    let begun = Instant::now();
    while let Err(error) = servers.kubectl_ok(&["explain", kind], "").await {
        assert!(begun.elapsed() < LIMIT, "{error:#}");
        tokio::time::sleep(POLL).await;
    }
}

/// Returns a property of a schema that has the property.
pub fn property<'a>(schema: &'a mut JSONSchemaProps, name: &str) -> &'a mut JSONSchemaProps {
    schema.properties.as_mut().and_then(|all| all.get_mut(name)).expect("a property")
}

impl Deref for ControlPlane {
    type Target = Servers;

    fn deref(&self) -> &Servers {
        match self {
            Self::Shared(servers) => servers,
            Self::Own(servers) => servers,
        }
    }
}
