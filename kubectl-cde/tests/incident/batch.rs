//! Lists in batches.

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use cde_harness::{Kind, LIMIT};
use cde_sandbox::cde::{HoldPoint, Operation, new_id};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use uuid::Uuid;

use super::fixture::Incident;

/// Returns connectors with a list of them, whose names give their order. Every connector whose number `fails` does not
/// exist.
fn list(incident: &Incident, count: usize, fails: impl Fn(usize) -> bool) -> (Vec<Uuid>, String) {
    let mut text = "connector,name\n".to_owned();
    let mut ids = Vec::new();
    for number in 0..count {
        let id = if fails(number) { new_id() } else { incident.migrated("shop") };
        ids.push(id);
        writeln!(text, "{id},shop-{number:03}").unwrap();
    }
    (ids, text)
}

/// Returns the selector that an output names.
fn selector(text: &str) -> String {
    let (_, after) = text.split_once("resume -l ").unwrap_or_else(|| panic!("no selector: {text}"));
    after.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_list_ends_batch_after_batch() {
    let incident = Incident::new().await;
    let (ids, text) = list(&incident, 5, |_| false);
    let ended = incident.run_with(&["rollback", "-f", "-", "--batch-size", "2"], &text).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let expected = "5 requests created, suspended\n\
                    started 2 of 5 requests, 3 left\n\
                    started 2 of 5 requests, 1 left\n\
                    started 1 of 5 requests, 0 left\n\
                    5 requests: 5 done\n";
    assert_eq!(ended.stdout, expected);
    assert!(ids.iter().all(|id| incident.env.sandbox.effects(*id) == 1));
    let again = incident.run_with(&["rollback", "-f", "-", "--batch-size", "2"], &text).await;
    assert!(again.code == 0 && again.stdout.ends_with("5 requests: 5 done\n"), "{again:?}");
    assert!(ids.iter().all(|id| incident.env.sandbox.effects(*id) == 1));
}

#[tokio::test]
async fn two_hundred_connectors_with_failures_stop_and_go_on() {
    let incident = Incident::new().await;
    let (ids, text) = list(&incident, 200, |number| number % 20 == 10);
    let begun = Instant::now();
    let args = ["rollback", "-f", "-", "--batch-size", "10", "--max-failures", "3"];
    let stopped = incident.run_with(&args, &text).await;
    assert_eq!(stopped.code, 1, "{stopped:?}");
    assert!(stopped.stderr.contains("4 requests failed, which is more than 3"), "{stopped:?}");
    assert_eq!(stopped.stdout.matches(" NotFound: ").count(), 4, "{stopped:?}");
    let effects = || ids.iter().map(|id| incident.env.sandbox.effects(*id)).sum::<usize>();
    assert!((70..=76).contains(&effects()), "batches after the fourth failure: {}", effects());
    let selector = selector(&stopped.stderr);
    let more = incident.run(&["resume", "-l", &selector, "--max-failures", "20", "--yes"]).await;
    assert_eq!(more.code, 1, "some have failed: {more:?}");
    assert!(more.stdout.ends_with("200 requests: 10 need a person, 190 done\n"), "{more:?}");
    assert_eq!(effects(), 190);
    eprintln!("200 rollbacks in batches of 10, with a stop: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_list_whose_terminal_died_goes_on_from_another_one() {
    let incident = Incident::new().await;
    let (ids, text) = list(&incident, 4, |_| false);
    let file = incident.env.scratch.path().join("list.csv");
    std::fs::write(&file, &text).unwrap();
    let mut held = incident.env.sandbox.hold(Operation::Rollback, ids[0], HoldPoint::BeforeEffect);
    let args = ["rollback", "-f", file.to_str().unwrap(), "--batch-size", "2"];
    let mut command = tokio::process::Command::from(incident.plugin(&args));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    held.arrived_within(LIMIT).await.unwrap();
    child.kill().await.unwrap();
    let mut stderr = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut stderr).await.unwrap();
    held.release();
    let name = incident.ok(&["status", &ids[1].to_string(), "-o", "jsonpath={.metadata.name}"]).await;
    incident.env.wait_for_reason(Kind::Rollback, &name, "RolledBack").await;
    let suspended = incident.ok(&["status", "--reason", "Suspended", "-o", "name"]).await;
    assert_eq!(suspended.lines().count(), 2, "nobody goes on by itself: {suspended}");
    let more = incident.run(&["resume", "-l", &selector(&stderr), "--yes"]).await;
    assert_eq!(more.code, 0, "{more:?}");
    assert!(more.stdout.ends_with("started 2 of 4 requests, 0 left\n4 requests: 4 done\n"), "{more:?}");
    assert!(ids.iter().all(|id| incident.env.sandbox.effects(*id) == 1));
}

#[tokio::test]
async fn two_hundred_rollbacks_from_a_file_end() {
    let incident = Incident::new().await;
    let (ids, text) = list(&incident, 200, |_| false);
    let begun = Instant::now();
    let made = incident.run_with(&["rollback", "-f", "-", "--labels", "incident=1"], &text).await;
    assert_eq!(made.code, 0, "{made:?}");
    let created = begun.elapsed();
    let ended = incident.run(&["wait", "-l", "incident=1"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ids.iter().all(|id| incident.env.sandbox.effects(*id) == 1));
    eprintln!("200 rollbacks created in {created:?}, ended after {:?}", begun.elapsed());
    assert!(begun.elapsed() < LIMIT + Duration::from_mins(1));
}
