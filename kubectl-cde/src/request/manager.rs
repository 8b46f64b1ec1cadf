//! The tool that applies a request from Git, a chart or elsewhere, and what it does to changes by hand.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

use super::{FIELD_MANAGER, Request};

/// The tool that applies a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manager {
    /// Its name and its object, for people.
    pub(crate) name: String,
    /// Where its manifests are.
    pub(crate) source: &'static str,
}

/// The labels and annotations by which the tools mark what they apply: tool, source, key of the name, key of its namespace.
const MARKS: [(&str, &str, &str, &str); 4] = [
    (
        "Flux (Kustomization",
        "Git",
        "kustomize.toolkit.fluxcd.io/name",
        "kustomize.toolkit.fluxcd.io/namespace",
    ),
    ("Flux (HelmRelease", "the chart", "helm.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/namespace"),
    ("Argo CD (Application", "Git", "argocd.argoproj.io/tracking-id", ""),
    ("Helm (release", "the chart", "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"),
];
/// Argo CD's mark by default, which other tools use, too. Its field manager tells.
const ARGO_LABEL: &str = "app.kubernetes.io/instance";

impl Manager {
    /// Returns the tool that applies the request, as far as the object shows.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let metadata = request.metadata();
        let mark = |key: &str| {
            let in_labels = metadata.labels.as_ref().and_then(|labels| labels.get(key));
            in_labels.or_else(|| metadata.annotations.as_ref()?.get(key))
        };
        for (tool, source, name, namespace) in MARKS {
            if let Some(name) = mark(name) {
                // Argo CD's annotation is APPLICATION:GROUP/KIND:NAMESPACE/NAME.
                let name = name.split(':').next().unwrap_or_default();
                let namespace = mark(namespace).map_or_else(String::new, |namespace| format!("{namespace}/"));
                return Some(Self { name: format!("{tool} {namespace}{name})"), source });
            }
        }
        let is_argo = fields(request).any(|entry| manager(entry).starts_with("argocd"));
        let application = mark(ARGO_LABEL).filter(|_| is_argo)?;
        Some(Self { name: format!("Argo CD (Application {application})"), source: "Git" })
    }
}

/// Returns what becomes of a change of `spec.suspend` by hand; `None` if no tool applies the request.
pub(crate) fn suspend_note(request: &Request) -> Option<String> {
    let Manager { name, source } = Manager::of(request)?;
    Some(if other_sets_suspend(request) {
        format!(
            "{request} is managed by {name}, which sets spec.suspend and will put it back: change it in {source}, too"
        )
    } else {
        format!(
            "{request} is managed by {name}: this change lasts as long as {source} does not set spec.suspend"
        )
    })
}

/// Returns what becomes of a retry by hand; `None` if no tool applies the request.
pub(crate) fn retry_note(request: &Request, moves_not_after: bool) -> Option<String> {
    let Manager { name, source } = Manager::of(request)?;
    Some(if moves_not_after {
        format!(
            "{request} is managed by {name}, which will put spec.notAfter back: change it in {source}, too"
        )
    } else {
        format!("{request} is managed by {name}: the retry needs no change in {source}")
    })
}

/// Whether another manager than the plugin has set `spec.suspend`.
fn other_sets_suspend(request: &Request) -> bool {
    fields(request).any(|entry| {
        let fields = entry.fields_v1.as_ref();
        let sets = fields.is_some_and(|fields| !fields.0["f:spec"]["f:suspend"].is_null());
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
