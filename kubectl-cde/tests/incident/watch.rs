//! `status --watch`, for programs and on a terminal.

use std::process::Stdio;

use cde_harness::{LIMIT, rollback};
use cde_sandbox::proxy::{Point, Proxy, Rule};
use serde_json::json;
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

/// Returns an incident without an operator, whose person reaches the API server through a proxy.
async fn behind_proxy() -> (Incident, Proxy) {
    let mut incident = Incident::without_operator().await;
    let proxy = Proxy::start(&incident.env.control_plane).await.unwrap();
    let account =
        incident.env.control_plane.service_account(&incident.env.namespace, "person", Some(proxy.url()));
    incident.kubeconfig = account.await.unwrap();
    (incident, proxy)
}

#[tokio::test]
async fn an_idle_watch_outlives_the_timeout_of_a_request() {
    let (incident, proxy) = behind_proxy().await;
    incident.env.apply(&rollback("shop", incident.migrated("shop"), "main")).await;
    // The only time that passes is that of the command itself.
    let args = ["wait", "shop", "--request-timeout", "500ms", "--timeout", "3s"];
    let ended = incident.run(&args).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("error: timed out waiting for mrb/shop"), "{ended:?}");
    for plural in ["migrationrollbacks", "connectorrestores"] {
        assert_eq!(proxy.count(&Rule::watch(plural)), 1, "the watch of {plural} ended");
    }
}

#[tokio::test]
async fn wait_and_status_go_on_when_the_api_server_ends_their_watch() {
    let (mut incident, proxy) = behind_proxy().await;
    let rollbacks = || Rule::watch("migrationrollbacks");
    let expired = json!({"type": "ERROR", "object": {
        "kind": "Status", "apiVersion": "v1", "code": 410, "reason": "Expired", "message": "Expired"
    }});
    let mut running = Vec::new();
    for (name, args) in [("a", &["wait", "a"][..]), ("b", &["status", "--watch", "b"])] {
        incident.env.apply(&rollback(name, incident.migrated(name), "main")).await;
        // The first watch ends after its time, without an event, and the second one is too old to continue.
        let so_far = proxy.count(&rollbacks());
        let [first, second, third] = [(); 3].map(|()| proxy.hold(rollbacks(), Point::BeforeForward));
        let mut command = tokio::process::Command::from(incident.plugin(args));
        let child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        first.seen().await.unwrap();
        first.answer(200, "");
        second.seen().await.unwrap();
        second.answer(200, format!("{expired}\n"));
        third.seen().await.unwrap();
        third.release();
        assert_eq!(proxy.count(&rollbacks()), so_far + 3);
        running.push(child);
    }
    incident.start_operator(&[]).await;
    for (name, mut child) in ["a", "b"].into_iter().zip(running) {
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let seeing = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains(&format!("mrb/{name} ")) && line.contains("RolledBack: ") {
                    return true;
                }
            }
            false
        };
        assert!(tokio::time::timeout(LIMIT, seeing).await.expect("the end is shown"), "{name}");
    }
}
