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
async fn batches_follow_the_order_of_the_list_and_not_that_of_the_names() {
    let incident = Incident::new().await;
    let ids = ["zebra", "ape", "yak", "bee"].map(|name| (name, incident.migrated(name)));
    let lines: Vec<String> = ids.iter().map(|(name, id)| format!("{id},{name}\n")).collect();
    let text = format!("connector,name\n{}", lines.concat());
    // The second batch does not start before the end of the first.
    let mut held = incident.env.sandbox.hold(Operation::Rollback, ids[0].1, HoldPoint::BeforeEffect);
    let file = incident.env.scratch.path().join("list.csv");
    std::fs::write(&file, &text).unwrap();
    let args = ["rollback", "-f", file.to_str().unwrap(), "--batch-size", "2"];
    let mut command = tokio::process::Command::from(incident.plugin(&args));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    held.arrived_within(LIMIT).await.unwrap();
    let mut stderr = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut stderr).await.unwrap();
    child.kill().await.unwrap();
    let suspended = incident.ok(&["status", "--reason", "Suspended", "-o", "name"]).await;
    assert!(suspended.contains("/rollback-yak-") && suspended.contains("/rollback-bee-"), "{suspended}");
    held.release();
    // Another terminal knows the order, too.
    let args = ["resume", "-l", &selector(&stderr), "--batch-size", "1", "--yes"];
    assert_eq!(incident.run(&args).await.code, 0);
    let calls = |id| incident.env.sandbox.calls(Operation::Changing, id)[0].at;
    assert!(calls(ids[2].1) < calls(ids[3].1));
}

#[tokio::test]
async fn a_previewed_list_starts_in_batches_by_rollback_or_resume() {
    let incident = Incident::new().await;
    let (ids, text) = list(&incident, 4, |_| false);
    let shown = incident.run_with(&["preview", "-f", "-"], &text).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    let selector = selector(&shown.stderr);
    let namespace = &incident.env.namespace;
    for says in [
        format!("start them in batches: kubectl cde resume -l {selector} -n {namespace} --batch-size N\n"),
        format!("start all at once:     kubectl cde resume -l {selector} -n {namespace}\n"),
        format!("discard them:          kubectl delete mrb -l {selector} -n {namespace}\n"),
    ] {
        assert!(shown.stderr.contains(&says), "{says}: {shown:?}");
    }
    let (first, rest) = (["resume", "-l", &selector, "--batch-size", "3"], ["--max-failures", "1", "--yes"]);
    let resumed = incident.run(&[&first[..], &rest].concat()).await;
    assert_eq!(resumed.code, 0, "{resumed:?}");
    let batches = "started 3 of 4 requests, 1 left\nstarted 1 of 4 requests, 0 left\n4 requests: 4 done\n";
    assert_eq!(resumed.stdout, batches);
    let again = format!("kubectl cde resume -l {selector} -n {namespace} --batch-size 3 --max-failures 1\n");
    assert!(resumed.stderr.contains(&again), "the limits are in no annotation: {resumed:?}");
    assert!(ids.iter().all(|id| incident.env.sandbox.effects(*id) == 1));

    let (ids, text) = list(&incident, 2, |_| false);
    let text = text.replace("shop-", "other-");
    assert_eq!(incident.run_with(&["preview", "-f", "-"], &text).await.code, 0);
    let args = ["rollback", "-f", "-", "--batch-size", "5", "--max-failures", "1"];
    let started = incident.run_with(&args, &text).await;
    assert_eq!(started.code, 0, "{started:?}");
    assert!(!started.stderr.contains("warning"), "{started:?}");
    let says = "0 requests created, suspended; 2 existed already\nstarted 2 of 2 requests, 0 left\n";
    assert!(started.stdout.starts_with(says), "{started:?}");
    assert!(ids.iter().all(|id| incident.env.sandbox.effects(*id) == 1));
}

#[tokio::test]
async fn a_list_that_exists_already_says_what_to_do_and_starts_nothing() {
    let incident = Incident::without_operator().await;
    let (_, text) = list(&incident, 6, |_| false);
    let line = text.lines().nth(1).unwrap().to_owned();
    let one = format!("connector,name\n{line}\n");
    incident.run_with(&["rollback", "-f", "-", "--suspend"], &one).await;
    let namespace = &incident.env.namespace;
    for args in [&["rollback", "-f", "-"][..], &["rollback", "-f", "-", "--batch-size", "5"]] {
        let ended = incident.run_with(args, &one).await;
        assert_eq!((ended.code, ended.stderr.matches("batch=").count()), (1, 0), "{ended:?}");
        let name = ended.stderr.split_whitespace().find(|word| word.starts_with("mrb/")).unwrap();
        let says = format!(
            "warning: {name} existed already (Pending), and nothing was changed: start it: kubectl cde resume {name} -n \
             {namespace}\n"
        );
        assert!(ended.stderr.contains(&says), "{says}: {ended:?}");
        assert!(ended.stderr.contains("error: nothing was created or started"), "{ended:?}");
    }
    let none = incident.run(&["resume", line.split(',').next().unwrap(), "--batch-size", "1"]).await;
    assert_eq!(none.code, 2, "{none:?}");
    assert!(none.stderr.contains("these requests belong to no batch"), "{none:?}");
    assert!(none.stderr.contains("preview -f LIST"), "{none:?}");

    let rest: Vec<&str> = text.lines().skip(2).collect();
    let many = format!("connector,name\n{}\n", rest.join("\n"));
    let made = incident.run_with(&["rollback", "-f", "-", "--suspend"], &many).await;
    let selector = selector(&made.stderr);
    let ended = incident.run_with(&["rollback", "-f", "-"], &many).await;
    assert_eq!((ended.code, ended.stderr.matches("warning").count()), (1, 1), "{ended:?}");
    assert!(ended.stderr.contains(&format!("start them: kubectl cde resume -l {selector} -n ")), "{ended:?}");
    let part = incident.run(&["resume", rest[0].split(',').next().unwrap(), "--batch-size", "1"]).await;
    assert!(part.stderr.contains(&format!("for a whole batch: select it with -l {selector} ")), "{part:?}");
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
    let hint = "The next run counts them again, unless you retry them first: to go on and allow 3 more, run ";
    assert!(stopped.stderr.contains(hint), "{stopped:?}");
    assert!(stopped.stderr.ends_with(" --batch-size 10 --max-failures 7\n"), "{stopped:?}");
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
