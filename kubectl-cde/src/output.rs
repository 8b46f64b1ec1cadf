//! Output formats, as kubectl has them.

mod jsonpath;

use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::error::Error;
use crate::request::Request;

/// The value of `--output`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A table with more columns.
    Wide,
    /// Manifests.
    Yaml,
    /// An object, or a list of objects.
    Json,
    /// Names that kubectl accepts.
    Name,
    /// Fields of the objects.
    JsonPath(String),
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.split_once('=')) {
            ("wide", _) => Ok(Self::Wide),
            ("yaml", _) => Ok(Self::Yaml),
            ("json", _) => Ok(Self::Json),
            ("name", _) => Ok(Self::Name),
            (_, Some(("jsonpath", template))) => {
                jsonpath::check(template)?;
                Ok(Self::JsonPath(template.to_owned()))
            }
            _ => Err("write wide, yaml, json, name or jsonpath=TEMPLATE".to_owned()),
        }
    }
}

impl Format {
    /// Returns the objects in this format; `None` if it is a table.
    pub(crate) fn render(&self, requests: &[&Request]) -> Result<Option<String>, Error> {
        let text = match self {
            Self::Wide => return Ok(None),
            Self::Name => {
                let line = |request: &&Request| {
                    let resource = request.kind().resource();
                    format!("{}.{}/{}\n", resource.kind.to_lowercase(), resource.group, request.name())
                };
                requests.iter().map(line).collect()
            }
            Self::Yaml => {
                let documents: Result<Vec<String>, Error> =
                    requests.iter().map(|request| yaml(&request.object)).collect();
                documents?.join("---\n")
            }
            Self::Json => {
                let text = serde_json::to_string_pretty(&value(requests)?);
                text.map_err(|error| Error::Usage(error.to_string()))? + "\n"
            }
            Self::JsonPath(template) => {
                jsonpath::render(template, &value(requests)?).map_err(Error::Usage)?
            }
        };
        Ok(Some(text))
    }
}

/// Returns one object, or several as a list, as kubectl does.
fn value(requests: &[&Request]) -> Result<Value, Error> {
    let items: Result<Vec<Value>, _> =
        requests.iter().map(|request| serde_json::to_value(shown(&request.object))).collect();
    let mut items = items.map_err(|error| Error::Usage(error.to_string()))?;
    match (items.pop(), items.is_empty()) {
        (Some(only), true) => Ok(only),
        (last, _) => {
            items.extend(last);
            Ok(json!({"apiVersion": "v1", "kind": "List", "items": items}))
        }
    }
}

/// Returns an object as a manifest.
pub(crate) fn yaml(object: &DynamicObject) -> Result<String, Error> {
    serde_saphyr::to_string(&shown(object)).map_err(|error| Error::Usage(error.to_string()))
}

/// Leaves out what kubectl leaves out.
fn shown(object: &DynamicObject) -> DynamicObject {
    let mut object = object.clone();
    object.metadata.managed_fields = None;
    object
}
