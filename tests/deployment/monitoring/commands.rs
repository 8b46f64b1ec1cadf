//! The commands and log lines that alerts and documentation name.

use std::collections::BTreeSet;
use std::path::Path;

use cde_sandbox::cde::new_id;

use crate::monitoring::repository::{alerts, field, text};
use crate::tools::test_env;
use cde_harness::rollback;

/// Returns the texts that name commands and log lines, with the labels of each alert filled in.
fn told() -> Vec<String> {
    let mut all = vec![text("docs/runbook.md"), text("docs/observability.md")];
    for alert in alerts() {
        let said = field(&alert["annotations"], "description");
        let said = said.replace("{{ $labels.namespace }}", "cde-operator-system");
        let said = said.replace("{{ $labels.reason }}", "NotFound");
        all.extend(
            ["ConnectorRestore", "MigrationRollback"].map(|kind| said.replace("{{ $labels.kind }}", kind)),
        );
    }
    all
}

/// Returns the words of each kubectl command in a text that only reads and has no placeholder.
fn reads(text: &str) -> BTreeSet<Vec<String>> {
    let mut all = BTreeSet::new();
    for (at, _) in text.match_indices("kubectl ") {
        // In a code block, a command ends with the line. In a sentence, it ends at the backtick.
        let in_block = at == 0 || text[..at].ends_with('\n');
        let end = |c: char| matches!(c, '`' | '#' | '|' | ')') || (in_block && c == '\n');
        let command = text[at..].split(end).next().unwrap_or_default();
        let words: Vec<String> = command.split_whitespace().skip(1).map(str::to_owned).collect();
        let verb = words.iter().position(|word| word == "-n").map_or(0, |at| at + 2);
        let only_reads = matches!(words.get(verb).map(String::as_str), Some("get" | "auth"));
        if only_reads && !words.iter().any(|word| word == "NAME" || word.contains("{{") || word.contains('…'))
        {
            all.insert(words);
        }
    }
    all
}

#[tokio::test]
async fn each_look_that_an_alert_or_the_documentation_tells_of_can_be_had() {
    let env = test_env().await;
    let commands: BTreeSet<Vec<String>> = told().iter().flat_map(|text| reads(text)).collect();
    assert!(commands.len() > 10 && commands.iter().any(|words| words[0] == "auth"), "{commands:#?}");
    for command in commands {
        let args: Vec<&str> = command.iter().map(String::as_str).collect();
        env.control_plane
            .kubectl_ok(&args, "")
            .await
            .unwrap_or_else(|error| panic!("{command:?}: {error:#}"));
    }
}

#[test]
fn each_line_of_the_log_that_people_are_told_to_look_for_is_one_that_the_operator_writes() {
    let source = source(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    let mut sought = BTreeSet::new();
    for text in told() {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for (before, after) in [("grep '", '\''), ("log line `", '`'), ("log lines `", '`'), ("log: `", '`')]
        {
            let parts = text.split(before).skip(1).filter_map(|part| part.split(after).next());
            sought.extend(parts.map(str::to_owned));
        }
    }
    // It is only in an example.
    sought.remove("\"connectors/omdb-back-to-legacy\"");
    assert!(sought.len() > 5, "{sought:#?}");
    for words in sought {
        assert!(source.contains(&words), "nobody writes {words:?}");
    }
}

/// Returns all source text below a directory.
fn source(directory: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        all += &if path.is_dir() { source(&path) } else { std::fs::read_to_string(path).unwrap_or_default() };
    }
    all
}

#[tokio::test]
async fn the_selectors_find_what_is_open_and_what_has_failed() {
    let env = test_env().await;
    env.apply_all(["open", "failed"].map(|name| rollback(name, new_id(), "main"))).await;
    let status = r#"{"status": {"outcome": "Failed", "reason": "NotFound"}}"#;
    env.kubectl(&["patch", "mrb", "failed", "--subresource=status", "--type=merge", "-p", status], "").await;
    for (selector, name) in [
        ("status.outcome=", "open"),
        ("status.outcome=Failed", "failed"),
        ("status.reason=NotFound", "failed"),
    ] {
        let found = env.kubectl(&["get", "cde", "--field-selector", selector, "-o", "name"], "").await;
        assert_eq!(found.trim(), format!("migrationrollback.cde.productsup.com/{name}"), "{selector}");
    }
}
