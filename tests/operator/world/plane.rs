//! The control plane of a world: one for all tests of the binary, or one of its own for a test that stops it or
//! changes its definitions.

use std::ops::Deref;
use std::time::Instant;

use cde_sandbox::control_plane::ControlPlane;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use tokio::sync::OnceCell;

use super::{LIMIT, POLL};

/// Where the manifests of `deploy/` put the operator's service account.
pub(super) const OPERATOR_NAMESPACE: &str = "cde-operator-system";

/// A control plane with the rights of the manifests.
#[derive(Debug)]
pub(crate) enum Plane {
    /// With the definitions; not to be stopped.
    Shared(&'static ControlPlane),
    /// It ends with its world.
    Own(Box<ControlPlane>),
}

impl Plane {
    /// The one that all tests of the binary share.
    pub(super) async fn shared() -> Self {
        static PREPARED: OnceCell<()> = OnceCell::const_new();
        let plane = Self::Shared(ControlPlane::shared().await.unwrap_or_else(|error| panic!("{error:#}")));
        PREPARED
            .get_or_init(async || {
                plane.grant_rights().await;
                plane.define_kinds().await;
            })
            .await;
        plane
    }

    /// A new one, without the definitions.
    pub(crate) async fn own() -> Self {
        let plane = ControlPlane::start().await.unwrap_or_else(|error| panic!("{error:#}"));
        let plane = Self::Own(Box::new(plane));
        plane.grant_rights().await;
        plane
    }

    /// Applies `crds/`, and waits until the kinds are served.
    pub(crate) async fn define_kinds(&self) {
        self.apply("crds").await;
        self.kinds_are_served().await;
    }

    /// The same, with the schema of `status` changed.
    pub(crate) async fn define_kinds_otherwise(&self, change: impl Fn(&mut JSONSchemaProps)) {
        self.define_kinds_with(|schema| change(property(schema, "status"))).await;
    }

    /// The same, with the whole schema changed.
    pub(crate) async fn define_kinds_with(&self, change: impl Fn(&mut JSONSchemaProps)) {
        for mut crd in cde_operator::api::crds() {
            let validation = crd.spec.versions[0].schema.as_mut();
            let schema = validation.and_then(|validation| validation.open_api_v3_schema.as_mut());
            change(schema.expect("a schema"));
            let json = serde_json::to_string(&crd).expect("a definition is JSON");
            self.kubectl_ok(&["apply", "--server-side", "-f", "-"], &json).await.expect("it is applied");
        }
        self.kinds_are_served().await;
    }

    async fn kinds_are_served(&self) {
        let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
        self.kubectl_ok(&established, "").await.expect("the kinds are served");
        for kind in ["connectorrestores", "migrationrollbacks"] {
            self.kind_is_explained(kind).await;
        }
    }

    /// What `kubectl explain` reads comes a little after a kind is served.
    async fn kind_is_explained(&self, kind: &str) {
        let begun = Instant::now();
        while let Err(error) = self.kubectl_ok(&["explain", kind], "").await {
            assert!(begun.elapsed() < LIMIT, "{error:#}");
            tokio::time::sleep(POLL).await;
        }
    }

    async fn grant_rights(&self) {
        let namespace = ["create", "namespace", OPERATOR_NAMESPACE];
        self.kubectl_ok(&namespace, "").await.expect("the operator's namespace");
        self.apply("deploy/rbac").await;
    }

    async fn apply(&self, part: &str) {
        let path = format!("{}/{part}", env!("CARGO_MANIFEST_DIR"));
        let apply = ["apply", "--server-side", "--force-conflicts", "-k", &path];
        self.kubectl_ok(&apply, "").await.expect("it is applied");
    }
}

/// A property of a schema that has it.
pub(crate) fn property<'a>(schema: &'a mut JSONSchemaProps, name: &str) -> &'a mut JSONSchemaProps {
    schema.properties.as_mut().and_then(|all| all.get_mut(name)).expect("a property")
}

impl Deref for Plane {
    type Target = ControlPlane;

    fn deref(&self) -> &ControlPlane {
        match self {
            Self::Shared(plane) => plane,
            Self::Own(plane) => plane,
        }
    }
}
