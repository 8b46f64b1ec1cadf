//! The commands that people are told of work.

use std::collections::BTreeSet;

use cde_sandbox::cde::new_id;

use crate::repository::{alerts, field, text};
use crate::world::{World, rollback};

/// Each `kubectl get …` of a text, in its words; those with a placeholder apart.
fn gets(text: &str) -> BTreeSet<Vec<String>> {
    let mut all = BTreeSet::new();
    for (at, _) in text.match_indices("kubectl get ") {
        let rest = &text[at..];
        // In a block a line is a command; in a sentence it goes on to the back quote.
        let in_block = at == 0 || text[..at].ends_with('\n');
        let end = |c: char| matches!(c, '`' | '#' | '|' | ')') || (in_block && c == '\n');
        let command = rest.split(end).next().unwrap_or_default();
        let words: Vec<String> = command.split_whitespace().skip(1).map(str::to_owned).collect();
        if !words.iter().any(|word| word == "NAME" || word.contains("{{") || word.contains('…')) {
            all.insert(words);
        }
    }
    all
}

#[tokio::test]
async fn each_list_that_an_alert_or_the_documentation_tells_of_can_be_had() {
    let world = World::new().await;
    let mut commands = gets(&text("docs/runbook.md"));
    commands.extend(gets(&text("docs/observability.md")));
    for alert in alerts() {
        for kind in ["ConnectorRestore", "MigrationRollback"] {
            let said = field(&alert["annotations"], "description");
            let said = said.replace("{{ $labels.kind }}", kind).replace("{{ $labels.reason }}", "NotFound");
            commands.extend(gets(&said));
        }
    }
    assert!(commands.len() > 10, "{commands:#?}");
    for command in commands {
        let args: Vec<&str> = command.iter().map(String::as_str).collect();
        world.plane.kubectl_ok(&args, "").await.unwrap_or_else(|error| panic!("{command:?}: {error:#}"));
    }
}

#[tokio::test]
async fn the_selectors_find_what_is_open_and_what_has_failed() {
    let world = World::new().await;
    world.apply_all(["open", "failed"].map(|name| rollback(name, new_id(), "main"))).await;
    let status = r#"{"status": {"outcome": "Failed", "reason": "NotFound"}}"#;
    world
        .kubectl(&["patch", "mrb", "failed", "--subresource=status", "--type=merge", "-p", status], "")
        .await;
    for (selector, name) in [
        ("status.outcome=", "open"),
        ("status.outcome=Failed", "failed"),
        ("status.reason=NotFound", "failed"),
    ] {
        let found = world.kubectl(&["get", "cde", "--field-selector", selector, "-o", "name"], "").await;
        assert_eq!(found.trim(), format!("migrationrollback.cde.productsup.com/{name}"), "{selector}");
    }
}
