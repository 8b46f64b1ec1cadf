//! Rules 8 to 12: what it costs, and what must never show.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Violation, about, requests};
use crate::evidence::{Evidence, Process};
use crate::world::Object;

/// Reads of a request beside those that its status writes account for.
const READS: usize = 12;
/// Passes over an object for each of its versions.
const PASSES: usize = 8;

pub(super) fn thrift(evidence: &Evidence) -> Vec<Violation> {
    let mut connectors: HashMap<Uuid, usize> = HashMap::new();
    evidence.histories.iter().for_each(|history| *connectors.entry(history.connector()).or_default() += 1);
    let mut wrong = Vec::new();
    for history in &evidence.histories {
        let count = |differs: fn(&Object, &Object) -> bool| {
            history.steps().filter(|(before, after)| differs(before, after)).count()
        };
        let claims = count(|before, after| before.attempts() < after.attempts());
        let waits = count(|before, after| before.operation()["retries"] != after.operation()["retries"]);
        let wishes = count(|before, after| {
            before.0["spec"] != after.0["spec"]
                || before.metadata()["annotations"] != after.metadata()["annotations"]
        });
        let writes = count(|before, after| before.status() != after.status());
        let rivals = connectors[&history.connector()] - 1;
        let most = 2 * claims + waits + 3 * (wishes + rivals) + 4;
        if writes > most {
            wrong.push(about("thrift", history, format!("{writes} status writes, {most} at most")));
        }
        let sent = evidence.writes_sent.get(history.name()).copied().unwrap_or_default();
        let reads = requests(history).into_iter().flat_map(|request| evidence.reads_of(request)).count();
        let most = sent + wishes + READS;
        if reads > most {
            wrong.push(about("thrift", history, format!("{reads} reads, {most} at most")));
        }
    }
    wrong
}

pub(super) fn rate(evidence: &Evidence) -> Vec<Violation> {
    const SECONDS: u32 = 5;
    let burst = evidence.rate.div_ceil(10) as usize * evidence.processes.len();
    let most = (evidence.rate * SECONDS) as usize * evidence.operators * 6 / 5 + burst;
    let calls: Vec<Timestamp> = evidence.ledger.iter().map(|call| call.at).collect();
    let too_many = calls.windows(most + 1).find(|window| {
        window[most].duration_since(window[0]) < SignedDuration::from_secs(i64::from(SECONDS))
    });
    let complain = |window: &[Timestamp]| Violation {
        rule: "rate",
        object: None,
        what: format!("more than {most} calls in the {SECONDS} seconds from {}", window[0]),
    };
    too_many.map(complain).into_iter().collect()
}

pub(super) fn passes(evidence: &Evidence) -> Vec<Violation> {
    let versions: usize = evidence.histories.iter().map(|history| history.versions.len()).sum();
    let most = (PASSES * versions) as u64;
    let many =
        evidence.processes.iter().filter(|process| process.reconciles.is_some_and(|passes| passes > most));
    many.map(|process| Violation {
        rule: "passes",
        object: None,
        what: format!("{} passes of {}, {most} at most", process.reconciles.unwrap_or_default(), process.pod),
    })
    .collect()
}

pub(super) fn secrets(evidence: &Evidence) -> Vec<Violation> {
    let mut wrong = Vec::new();
    for secret in &evidence.secrets {
        for (place, text) in &evidence.shown {
            if let Some(line) = text.lines().find(|line| line.contains(secret)) {
                wrong.push(Violation { rule: "secrets", object: None, what: format!("in {place}: {line}") });
            }
        }
    }
    wrong
}

pub(super) fn processes(evidence: &Evidence) -> Vec<Violation> {
    let panicked = |log: &str| log.lines().find(|line| line.contains("panicked")).map(str::to_owned);
    let complaints = |process: &Process| {
        let pod = process.pod.clone();
        process.complaint.clone().into_iter().chain(panicked(&process.log)).map(move |what| Violation {
            rule: "processes",
            object: None,
            what: format!("{pod}: {what}"),
        })
    };
    evidence.processes.iter().flat_map(complaints).collect()
}
