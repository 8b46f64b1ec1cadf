//! Rules 8 to 11: the costs, and what must never show.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Violation, requests};
use crate::random::evidence::{Evidence, History, Process};
use cde_harness::Object;

/// What something cost, and its limit.
pub(crate) struct Cost {
    pub(crate) what: &'static str,
    pub(crate) was: usize,
    pub(crate) most: usize,
    /// The object that it is about.
    history: Option<String>,
}

pub(super) fn thrift(evidence: &Evidence) -> Vec<Violation> {
    let too_much = costs(evidence).into_iter().filter(|cost| cost.was > cost.most);
    too_much
        .map(|Cost { what, was, most, history }| Violation {
            rule: "thrift",
            object: history,
            what: format!("{was} {what}, {most} at most"),
        })
        .collect()
}

/// Returns the costs of each object and each process.
pub(crate) fn costs(evidence: &Evidence) -> Vec<Cost> {
    // Stored statuses by connector and by name.
    let mut connectors: HashMap<Uuid, usize> = HashMap::new();
    let mut names: HashMap<&str, usize> = HashMap::new();
    for history in &evidence.histories {
        *connectors.entry(history.connector()).or_default() += writes(history);
        *names.entry(history.name()).or_default() += writes(history);
    }
    let starts = evidence.processes.len();
    let mut all = Vec::new();
    for history in &evidence.histories {
        let claims = steps(history, |before, after| before.attempts() < after.attempts());
        let waits = steps(history, |before, after| {
            before.operation()["backoffStep"] != after.operation()["backoffStep"]
        });
        let wishes = steps(history, |before, after| {
            before.0["spec"] != after.0["spec"]
                || before.metadata()["annotations"] != after.metadata()["annotations"]
        });
        let rivals = connectors[&history.connector()] - writes(history);
        let sent = evidence.writes_sent.get(history.name()).copied().unwrap_or_default();
        let reads = requests(history).into_iter().flat_map(|request| evidence.reads_of(request)).count();
        let mut cost =
            |what, was, most| all.push(Cost { what, was, most, history: Some(history.uid.clone()) });
        cost("status writes", writes(history), 2 * claims + waits + 3 * wishes + rivals + starts + 4);
        cost("status writes sent", sent, evidence.operators * names[history.name()] + 20);
        cost("reads", reads, sent + wishes + starts + 12);
        cost("claims and waits", claims + waits, 2 * evidence.seconds + 8);
    }
    let versions: usize = evidence.histories.iter().map(|history| history.versions.len()).sum();
    let passes = evidence.processes.iter().filter_map(|process| process.reconciles);
    all.extend(passes.map(|was| Cost { what: "passes", was, most: 4 * versions, history: None }));
    all
}

fn steps(history: &History, differs: impl Fn(&Object, &Object) -> bool) -> usize {
    history.steps().filter(|(before, after)| differs(before, after)).count()
}

fn writes(history: &History) -> usize {
    steps(history, |before, after| before.status() != after.status())
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
