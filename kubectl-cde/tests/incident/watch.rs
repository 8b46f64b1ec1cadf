//! `status --watch`, for programs and on a terminal.

use std::process::Stdio;

use cde_harness::{LIMIT, rollback};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::fixture::Incident;
use super::terminal::Terminal;

#[tokio::test]
async fn each_change_is_a_line() {
    let incident = Incident::new().await;
    let connector = incident.migrated("shop");
    let mut command = tokio::process::Command::from(incident.plugin(&["status", "--watch"]));
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reading = async {
        assert!(lines.next_line().await.unwrap().unwrap().starts_with("No requests in test-"));
        incident.env.apply(&rollback("shop", connector, "main")).await;
        let mut seen = Vec::new();
        loop {
            seen.push(lines.next_line().await.unwrap().unwrap());
            if seen.last().unwrap().contains("-> RolledBack: Rolled back version 1.0.0") {
                return seen;
            }
        }
    };
    let seen = tokio::time::timeout(LIMIT, reading).await.expect("the changes are shown");
    assert!(seen[0].contains(" mrb/shop new -> "), "{seen:?}");
    assert!(seen.iter().all(|line| !line.contains('\u{1b}')), "{seen:?}");
}

#[tokio::test]
async fn a_terminal_shows_the_progress_of_a_list() {
    let incident = Incident::new().await;
    let ids = ["a", "b", "c"].map(|name| incident.migrated(name).to_string());
    let mut args = vec!["rollback", "--batch-size", "1"];
    args.extend(ids.iter().map(String::as_str));
    let (seen, status) = Terminal::start(incident.plugin(&args)).end().await;
    assert!(status.success(), "{seen}");
    assert!(seen.contains("==> ") && seen.contains(" 3/3  0 failed"), "{seen:?}");
    assert_eq!(seen.matches("started 1 of 3 requests, ").count(), 3, "{seen:?}");
    assert!(seen.contains("3 requests: 3 done\r\n"), "{seen:?}");
}

#[tokio::test]
async fn an_interrupted_list_says_how_to_go_on() {
    let incident = Incident::without_operator().await;
    let id = incident.migrated("shop").to_string();
    let mut terminal = Terminal::start(incident.plugin(&["rollback", &id, "--batch-size", "1"]));
    terminal.until("started 1 of 1 requests").await;
    terminal.interrupt();
    let (seen, status) = terminal.end().await;
    assert_eq!(status.code(), Some(1), "{seen}");
    assert!(seen.contains("error: interrupted: what was started goes on"), "{seen}");
    assert!(seen.contains("kubectl cde resume -l cde.productsup.com/batch="), "{seen}");
}
