//! A manifest template, and the end that its objects reach.
//!
//! A placeholder is a word between double underscores. Unlike `$(…)`, `${…}` and `{{…}}`, it means nothing in YAML, JSON,
//! shells, container arguments and Go templates.

use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Error, Result, ensure};
use cde_sandbox::cde::{Connector, Remote};
use kube::api::DynamicObject;
use serde_json::Value;
use uuid::Uuid;

use crate::kind::Kind;

/// A manifest with placeholders.
#[derive(Debug)]
pub(crate) struct Template {
    /// The name of its file, without the extension.
    pub(crate) name: String,
    text: String,
    pub(crate) end: End,
}

/// The end of an object, in the syntax of `kubectl wait --for=jsonpath=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// With braces.
    pub(crate) path: String,
    /// If there is none, any value is the end.
    value: Option<String>,
}

/// An object to create, with connectors of its own.
pub(crate) struct Subject {
    name: String,
    deleted: Uuid,
    migrated: Uuid,
}

impl Subject {
    pub(crate) fn new(namespace: &str, number: usize) -> Self {
        let name = format!("{namespace}-{number:05}");
        Self { name, deleted: Uuid::new_v4(), migrated: Uuid::new_v4() }
    }

    /// Returns one connector in the bin, and one whose migration can be rolled back.
    pub(crate) fn connectors(&self) -> [Connector; 2] {
        [Kind::Restore.willing(self.deleted), Kind::Rollback.willing(self.migrated)]
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn read(file: &Path, end: End) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, text, end })
    }

    /// Returns the API group of the first document.
    ///
    /// # Errors
    /// If the template is not valid.
    pub(crate) fn group(&self) -> Result<String> {
        let types = self.objects(&self.text)?.swap_remove(0).types.context("it has no kind")?;
        Ok(types.api_version.rsplit_once('/').map_or("", |(group, _)| group).to_owned())
    }

    /// Returns the manifests for one object, at least one.
    ///
    /// # Errors
    /// If they are not valid.
    pub(crate) fn manifests(
        &self,
        subject: &Subject,
        namespace: &str,
        cde: &Remote,
    ) -> Result<Vec<DynamicObject>> {
        let text = self
            .text
            .replace("__NAME__", &subject.name)
            .replace("__NAMESPACE__", namespace)
            .replace("__DELETED_CONNECTOR__", &subject.deleted.to_string())
            .replace("__MIGRATED_CONNECTOR__", &subject.migrated.to_string())
            .replace("__URL__", cde.url())
            .replace("__TOKEN__", cde.token());
        self.objects(&text)
    }

    fn objects(&self, text: &str) -> Result<Vec<DynamicObject>> {
        let read = || -> Result<Vec<DynamicObject>> {
            let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
            let documents = documents.into_iter().filter(|document| !document.is_null());
            let objects = documents.map(serde_json::from_value).collect::<Result<Vec<_>, _>>()?;
            ensure!(!objects.is_empty(), "it has no manifest");
            Ok(objects)
        };
        read().with_context(|| format!("the template {}", self.name))
    }
}

impl End {
    pub(crate) fn is(&self, found: &str) -> bool {
        self.value.as_deref().map_or(!found.is_empty(), |value| found == value)
    }
}

impl FromStr for End {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let brace = text.rfind('}').filter(|_| text.starts_with('{'));
        let (path, rest) = text.split_at(brace.context("the path must be in braces")? + 1);
        ensure!(rest.is_empty() || rest.starts_with('='), "only `=VALUE` may follow the path");
        let value = rest.strip_prefix('=').map(|value| value.trim_matches(['\'', '"']).to_owned());
        Ok(Self { path: path.to_owned(), value })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn an_end_is_read_as_kubectl_wait_reads_it() {
        let complete: End = r#"{.status.conditions[?(@.type=="Complete")].status}=True"#.parse().unwrap();
        assert_eq!(complete.path, r#"{.status.conditions[?(@.type=="Complete")].status}"#);
        assert!(complete.is("True") && !complete.is("False") && !complete.is(""));
        assert!(".status.outcome=Succeeded".parse::<End>().is_err());
    }

    #[test]
    fn an_end_without_a_value_is_any_value() {
        let any: End = "{.status.outcome}".parse().unwrap();
        assert!(any.is("Failed") && !any.is(""));
    }

    #[test]
    fn a_template_may_have_several_documents_and_go_templates() {
        let text = "# About it\n---\napiVersion: v1\nkind: Secret\nstringData: {a: '{{ x }}'}\n---\n\
                    apiVersion: batch/v1\nkind: Job\nmetadata: {name: __NAME__}\n---\n";
        let template = |text: &str| {
            let end = "{.status}".parse().unwrap();
            Template { name: "test".to_owned(), text: text.to_owned(), end }
        };
        assert_eq!(template(text).objects(text).unwrap().len(), 2);
        assert_eq!(template(text).group().unwrap(), "");
        assert!(template("# nothing").group().is_err());
    }
}
