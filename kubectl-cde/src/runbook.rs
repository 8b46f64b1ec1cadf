//! The runbook's text for a reason, from the documentation of the same version.

use cde_operator::api::Reason;

const RUNBOOK: &str = include_str!("../../docs/runbook.md");

/// The entry of a reason.
pub(crate) struct Entry {
    /// What the reason means.
    pub(crate) meaning: String,
    /// What to look at.
    pub(crate) check: String,
    /// What to do.
    pub(crate) action: String,
}

/// Returns the entry of a reason as plain text.
pub(crate) fn entry(reason: Reason) -> Option<Entry> {
    let title = format!("\n### {reason}\n");
    let (_, after) = RUNBOOK.split_once(&title)?;
    let section = after.split("\n#").next()?;
    let part = |name: &str| {
        let (_, after) = section.split_once(&format!("- **{name}:** "))?;
        let text = after.split("\n- **").next()?;
        // The commands in the runbook are for those who do not have the plugin.
        let prose = text.split("\n\n").filter(|paragraph| !paragraph.trim_start().starts_with("```"));
        let sentences = prose.map(|paragraph| match plain(paragraph).strip_suffix(':') {
            Some(introduction) => format!("{introduction}."),
            None => plain(paragraph),
        });
        Some(sentences.collect::<Vec<_>>().join(" "))
    };
    Some(Entry { meaning: part("Meaning")?, check: part("Check")?, action: part("Action")? })
}

/// Returns Markdown as one line of text.
fn plain(markdown: &str) -> String {
    let whole = markdown.split_whitespace().collect::<Vec<_>>().join(" ").replace("**", "");
    let mut text = String::new();
    let mut rest = whole.as_str();
    while let Some((before, after)) = rest.split_once('[') {
        text.push_str(before);
        let link =
            after.split_once("](").and_then(|(label, target)| Some((label, target.split_once(')')?.1)));
        if let Some((label, after)) = link {
            text.push_str(label);
            rest = after;
        } else {
            text.push('[');
            rest = after;
        }
    }
    text + rest
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_an_entry_without_markdown() {
        for reason in Reason::ALL {
            let entry = entry(reason).unwrap_or_else(|| unreachable!("{reason} has no entry"));
            for text in [entry.meaning, entry.check, entry.action] {
                assert!(!text.is_empty() && text.ends_with(['.', '`']), "{reason}: {text}");
                assert!(
                    !["**", "](", "```", "###"].iter().any(|mark| text.contains(mark)),
                    "{reason}: {text}"
                );
            }
        }
    }

    #[test]
    fn a_link_becomes_its_text() {
        assert_eq!(plain("Wait, or\n  [ask](#now) **now** [a]."), "Wait, or ask now [a].");
    }
}
