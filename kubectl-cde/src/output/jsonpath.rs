//! kubectl's templates of paths: text with paths in braces, such as `{.metadata.name}{"\n"}`.

use std::fmt::Write as _;

use jsonpath_rust::JsonPath as _;
use serde_json::Value;

/// A part of a template.
enum Part<'a> {
    /// Text that is printed as it is.
    Text(String),
    /// A path whose values are printed with spaces between them.
    Path(&'a str),
    /// `{range PATH}…{end}`: the parts are printed for each value.
    Range(&'a str, Vec<Part<'a>>),
}

/// Returns why a template cannot be used.
pub(super) fn check(template: &str) -> Result<(), String> {
    render(template, &Value::Null).map(drop)
}

/// Returns the text of a template.
pub(super) fn render(template: &str, value: &Value) -> Result<String, String> {
    let mut rest = template;
    let (parts, ended) = parse(&mut rest)?;
    if ended {
        return Err("{end} without {range}".to_owned());
    }
    let mut text = String::new();
    print(&parts, value, &mut text)?;
    Ok(text)
}

/// Parses up to `{end}` or the end. Returns whether there was an `{end}`.
fn parse<'a>(rest: &mut &'a str) -> Result<(Vec<Part<'a>>, bool), String> {
    let mut parts = Vec::new();
    while let Some((text, after)) = rest.split_once('{') {
        if !text.is_empty() {
            parts.push(Part::Text(text.to_owned()));
        }
        let end = closing(after).ok_or_else(|| format!("{{{after} has no closing brace"))?;
        let inner = after[..end].trim();
        *rest = &after[end + 1..];
        if inner == "end" {
            return Ok((parts, true));
        }
        if let Some(path) = inner.strip_prefix("range ") {
            let (inside, ended) = parse(rest)?;
            if !ended {
                return Err("{range} without {end}".to_owned());
            }
            parts.push(Part::Range(path.trim(), inside));
        } else if inner.starts_with('"') {
            let text = serde_json::from_str(inner).map_err(|_| format!("{inner} is no text in quotes"))?;
            parts.push(Part::Text(text));
        } else {
            parts.push(Part::Path(inner));
        }
    }
    if !rest.is_empty() {
        parts.push(Part::Text((*rest).to_owned()));
        *rest = "";
    }
    Ok((parts, false))
}

/// Returns where the brace closes, which quotes may contain.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '}') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

fn print(parts: &[Part<'_>], value: &Value, text: &mut String) -> Result<(), String> {
    for part in parts {
        match part {
            Part::Text(literal) => text.push_str(literal),
            Part::Path(path) => {
                let found: Vec<String> = query(path, value)?.into_iter().map(word).collect();
                text.push_str(&found.join(" "));
            }
            Part::Range(path, inside) => {
                for one in query(path, value)? {
                    print(inside, one, text)?;
                }
            }
        }
    }
    Ok(())
}

fn query<'a>(path: &str, value: &'a Value) -> Result<Vec<&'a Value>, String> {
    value.query(&standard(path)).map_err(|_| format!("{{{path}}} is no JSONPath"))
}

/// Returns kubectl's notation as RFC 9535 defines it: with `$`, and with brackets around a name whose dots are escaped.
fn standard(path: &str) -> String {
    let path = path.trim_start_matches(['$', '@']);
    if path.is_empty() || path == "." {
        return "$".to_owned();
    }
    if !path.contains("\\.") {
        return format!("${path}");
    }
    let marked = path.replace("\\.", "\0");
    let mut standard = "$".to_owned();
    for (index, name) in marked.split('.').enumerate() {
        match name {
            "" => {}
            _ if name.contains('\0') => {
                let _ = write!(standard, "[{:?}]", name.replace('\0', "."));
            }
            _ if index == 0 => standard.push_str(name),
            _ => {
                let _ = write!(standard, ".{name}");
            }
        }
    }
    standard
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_prints_what_kubectl_prints() {
        let object = json!({
            "metadata": {"name": "a", "annotations": {"cde.productsup.com/retry": "now"}},
            "status": {"attempts": 2, "conditions": [{"type": "Stalled", "message": "no"}, {"type": "Ready", "message": "yes"}]},
        });
        for (template, expected) in [
            ("{.metadata.name}", "a"),
            ("{.metadata.name}{\"\\n\"}", "a\n"),
            ("name={.metadata.name}, {.status.attempts}", "name=a, 2"),
            (r"{.metadata.annotations.cde\.productsup\.com/retry}", "now"),
            (r#"{.status.conditions[?(@.type=="Ready")].message}"#, "yes"),
            ("{.status.conditions[*].type}", "Stalled Ready"),
            ("{.status.conditions[1].type}", "Ready"),
            ("{range .status.conditions[*]}{.type}={.message};{end}", "Stalled=no;Ready=yes;"),
            ("{.status.absent}", ""),
        ] {
            assert_eq!(render(template, &object).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn a_template_that_is_wrong_says_why() {
        for template in ["{.a", "{end}", "{range .a}", "{.a[}"] {
            assert!(check(template).is_err(), "{template}");
        }
    }
}
