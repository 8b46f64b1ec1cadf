//! The tool that applies a request from Git, a chart or elsewhere, and what it does to changes by hand.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

use super::{FIELD_MANAGER, Request};

/// The tool that applies a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manager {
    /// Its name and its object, for people.
    pub(crate) name: String,
    tool: &'static Tool,
}

/// What a tool does with the fields that it sets.
#[derive(Debug, PartialEq, Eq)]
struct Tool {
    name: &'static str,
    object: &'static str,
    /// Where its manifests are.
    source: &'static str,
    /// What becomes of a change of a field that it sets.
    reverts: &'static str,
}

const KUSTOMIZATION: Tool = Tool {
    name: "Flux",
    object: "Kustomization",
    source: "Git",
    reverts: "and puts it back at its next run",
};
const HELM_RELEASE: Tool = Tool {
    name: "Flux",
    object: "HelmRelease",
    source: "the chart",
    reverts: "and can put it back at its next upgrade",
};
const ARGO: Tool = Tool {
    name: "Argo CD",
    object: "Application",
    source: "Git",
    reverts: "and puts it back at its next sync, within seconds under self-heal",
};
const HELM: Tool = Tool {
    name: "Helm",
    object: "release",
    source: "the chart",
    reverts: "so that its next upgrade fails with a conflict or puts it back",
};

/// The labels and annotations by which the tools mark what they apply: tool, key of the name, key of its namespace. A
/// `HelmRelease` leaves Helm's marks, too, so it comes first.
const MARKS: [(&Tool, &str, &str); 4] = [
    (&KUSTOMIZATION, "kustomize.toolkit.fluxcd.io/name", "kustomize.toolkit.fluxcd.io/namespace"),
    (&HELM_RELEASE, "helm.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/namespace"),
    (&ARGO, "argocd.argoproj.io/tracking-id", ""),
    (&HELM, "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"),
];
/// Argo CD's mark where it tracks by label. Other tools use the label, too, so only the field manager tells.
const ARGO_LABEL: &str = "app.kubernetes.io/instance";

impl Manager {
    /// Returns the tool that applies the request, as far as the object shows.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let metadata = request.metadata();
        let mark = |key: &str| {
            let in_labels = metadata.labels.as_ref().and_then(|labels| labels.get(key));
            in_labels.or_else(|| metadata.annotations.as_ref()?.get(key)).map(String::as_str)
        };
        for (tool, name, namespace) in MARKS {
            if let Some(name) = mark(name) {
                return Some(Self::new(tool, name, mark(namespace)));
            }
        }
        let is_argo = fields(request).any(|entry| manager(entry).starts_with("argocd"));
        mark(ARGO_LABEL).filter(|_| is_argo).map(|name| Self::new(&ARGO, name, None))
    }

    fn new(tool: &'static Tool, mark: &str, namespace: Option<&str>) -> Self {
        // Argo CD's annotation is APPLICATION:GROUP/KIND:NAMESPACE/NAME. An Application outside of its own namespace is
        // NAMESPACE_NAME.
        let name = mark.split(':').next().unwrap_or_default().replace('_', "/");
        let namespace = namespace.map_or_else(String::new, |namespace| format!("{namespace}/"));
        Self { name: format!("{} ({} {namespace}{name})", tool.name, tool.object), tool }
    }

    /// Returns where the manifest of the request is.
    pub(crate) const fn source(&self) -> &'static str {
        self.tool.source
    }

    /// Returns what becomes of the change of a field by hand.
    fn note(&self, request: &Request, field: &str) -> String {
        let (name, Tool { source, reverts, .. }) = (&self.name, self.tool);
        if other_sets(request, field) {
            format!(
                "{request} is managed by {name}, which sets spec.{field} {reverts}: change it in {source}, too"
            )
        } else {
            format!(
                "{request} is managed by {name}: this change lasts as long as {source} does not set spec.{field}"
            )
        }
    }
}

/// Returns what becomes of a change of `spec.suspend` by hand; `None` if no tool applies the request.
pub(crate) fn suspend_note(request: &Request) -> Option<String> {
    Manager::of(request).map(|manager| manager.note(request, "suspend"))
}

/// Returns what becomes of a retry by hand; `None` if no tool applies the request.
pub(crate) fn retry_note(request: &Request, moves_not_after: bool) -> Option<String> {
    let manager = Manager::of(request)?;
    Some(if moves_not_after {
        manager.note(request, "notAfter")
    } else {
        let (name, source) = (&manager.name, manager.source());
        format!("{request} is managed by {name}: the retry needs no change in {source}")
    })
}

/// Whether another manager than the plugin has set this field of the spec.
fn other_sets(request: &Request, field: &str) -> bool {
    fields(request).any(|entry| {
        let fields = entry.fields_v1.as_ref();
        let sets = fields.is_some_and(|fields| !fields.0["f:spec"][format!("f:{field}")].is_null());
        sets && manager(entry) != FIELD_MANAGER
    })
}

fn fields(request: &Request) -> impl Iterator<Item = &ManagedFieldsEntry> {
    request.metadata().managed_fields.iter().flatten()
}

fn manager(entry: &ManagedFieldsEntry) -> &str {
    entry.manager.as_deref().unwrap_or_default()
}

/// Returns who created the request: the manager of the oldest fields.
pub(crate) fn creator(request: &Request) -> Option<&str> {
    let created = fields(request).filter(|entry| entry.subresource.is_none());
    created.min_by_key(|entry| entry.time.as_ref().map(|time| time.0)).map(manager)
}
