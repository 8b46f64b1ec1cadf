//! The commands in alerts and documentation work.

use std::collections::BTreeSet;
use std::path::Path;

use cde_sandbox::cde::new_id;

use crate::monitoring::repository::{alerts, field, text};
use crate::tools::test_env;
use cde_harness::rollback;

/// Returns the texts that name commands and log lines, with the labels of an alert filled in.
fn texts_with_commands() -> Vec<String> {
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
        // In a block, a line is a command. In a sentence, the command ends at the back quote.
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
async fn each_read_command_in_the_alerts_and_the_documentation_works() {
    let env = test_env().await;
    let commands: BTreeSet<Vec<String>> = texts_with_commands().iter().flat_map(|text| reads(text)).collect();
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
fn each_log_line_in_the_documentation_is_one_that_the_operator_writes() {
    let source = source(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    let mut sought = BTreeSet::new();
    for text in texts_with_commands() {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for (before, after) in [("grep '", '\''), ("log line `", '`'), ("log lines `", '`'), ("log: `", '`')]
        {
            let parts = text.split(before).skip(1).filter_map(|part| part.split(after).next());
            sought.extend(parts.map(str::to_owned));
        }
    }
    // Values that only an example has.
    for example in ["\"namespace\":\"connectors\"", "\"name\":\"omdb-back-to-legacy\""] {
        assert!(sought.remove(example), "{sought:#?}");
    }
    assert!(sought.len() > 5, "{sought:#?}");
    for words in sought {
        assert!(source.contains(&words), "no log line in the source has {words:?}");
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
async fn the_selectors_find_open_and_failed_requests() {
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
