//! Rules 4 to 7: when claims are stored, and what objects report about their requests.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cde_sandbox::cde::{Call, Operation};
use jiff::{SignedDuration, Timestamp};

use super::calls::{came_late, shows_no_effect};
use super::{Violation, about};
use crate::random::evidence::{Evidence, History, is_clean_reading, says_success};
use cde_harness::{Kind, Object};

pub(super) fn limits(evidence: &Evidence) -> Vec<Violation> {
    let mut wrong = Vec::new();
    for history in &evidence.histories {
        for (before, claim) in history.steps() {
            if claim.claimed_attempt().is_none() || claim.claimed_attempt() == before.claimed_attempt() {
                continue;
            }
            let mut complain =
                |what: &str| wrong.push(about("limits", history, format!("{what}: {claim:#?}")));
            let at = claim.time("/status/operation/lastAttemptTime").unwrap_or_default();
            if claim.0["spec"]["suspend"] == true {
                complain("claimed while suspended");
            }
            if claim.time("/spec/notAfter").is_some_and(|limit| limit <= at) {
                complain("claimed past notAfter");
            }
            if deadline(claim).is_some_and(|limit| limit <= at) {
                complain("claimed past the deadline");
            }
        }
    }
    wrong
}

/// Returns the deadline, counted from the creation, or from the start of a request that a retry opened.
fn deadline(object: &Object) -> Option<Timestamp> {
    let seconds = object.0["spec"]["deadlineSeconds"].as_i64()?;
    let begin = object.time("/metadata/creationTimestamp").max(
        object
            .time("/status/operation/startTime")
            .filter(|_| object.status()["lastHandledRetry"].is_string()),
    )?;
    begin.checked_add(SignedDuration::from_secs(seconds)).ok()
}

pub(super) fn ends(evidence: &Evidence) -> Vec<Violation> {
    let mut wrong = Vec::new();
    for history in &evidence.histories {
        if !history.has_ended() {
            wrong.push(about("ends", history, format!("it has not ended: {:#?}", history.last())));
        }
        for version in history.versions.iter().filter(|version| !version.reason().is_empty()) {
            if let Err(why) = catch_unwind(AssertUnwindSafe(|| version.assert_contract())) {
                let why = why.downcast_ref::<String>().cloned().unwrap_or_default();
                wrong.push(about("ends", history, format!("its status breaks the contract: {why}")));
                break;
            }
        }
    }
    wrong
}

pub(super) fn truth(evidence: &Evidence) -> Vec<Violation> {
    let claims = evidence.claims();
    let mut wrong = Vec::new();
    for history in &evidence.histories {
        for (before, end) in history.steps().filter(|(before, end)| before.outcome() != end.outcome()) {
            let (request, connector) = (end.request_id(), history.connector());
            let mut reads = evidence.reads_of(request).filter(|read| is_clean_reading(read));
            let told = |call: &Call| call.effect && says_success(call);
            let holds = match (end.outcome(), end.operation()["evidence"].as_str()) {
                (None | Some("Unknown"), _) => true,
                (Some("Succeeded"), Some("Response")) => evidence.calls_of(request).any(told),
                (Some("Succeeded"), Some("ObservedChange")) => shows_change(evidence, history, request),
                (Some("Succeeded"), Some("ObservedLive")) => {
                    reads.any(|read| read.carried_out.is_some_and(|at| evidence.is_live(connector, at)))
                }
                (Some("Skipped"), _) => evidence.calls_of(request).next().is_none(),
                (Some("Failed"), _) => evidence.calls_of(request).filter(|call| call.effect).all(|call| {
                    came_late(evidence, &claims, call)
                        || history.kind == Kind::Rollback
                            && evidence.reads_of(request).any(|read| {
                                read.sequence > call.sequence
                                    && shows_no_effect(evidence, history, request, call, read)
                            })
                }),
                _ => false,
            };
            if !holds {
                let what = format!("{:?} is not so: {end:#?}\nafter {before:#?}", end.outcome());
                wrong.push(about("truth", history, what));
            }
        }
    }
    wrong
}

/// Returns whether a read for this request differed from an earlier one after an effect on the connector.
fn shows_change(evidence: &Evidence, history: &History, request: &str) -> bool {
    let connector = history.connector();
    let reads: Vec<Timestamp> = evidence
        .reads_of(request)
        .filter(|read| is_clean_reading(read))
        .filter_map(|read| read.carried_out)
        .collect();
    let is_changed = |at: Timestamp, before: Timestamp| {
        let (now, then) = (evidence.visible(connector, at), evidence.visible(connector, before));
        now.is_none() || now != then
    };
    reads.iter().enumerate().any(|(number, at)| {
        evidence.effects_by(connector, Operation::Rollback, *at) > 0
            && reads[..number].iter().any(|before| is_changed(*at, *before))
    })
}

pub(super) fn finality(evidence: &Evidence) -> Vec<Violation> {
    let mut wrong = Vec::new();
    for history in &evidence.histories {
        for (before, after) in history.steps() {
            let mut complain = |what: &str| {
                wrong.push(about("finality", history, format!("{what}: {before:#?}\nthen {after:#?}")));
            };
            let same = before.request_id() == after.request_id();
            let retried = after.time("/status/lastHandledRetry") > before.time("/status/lastHandledRetry");
            match before.outcome() {
                Some("Succeeded" | "Skipped") if before.status() != after.status() => {
                    complain("a record changed");
                }
                Some(_) if before.outcome() != after.outcome() && (same || !retried) => {
                    complain("open again without a retry");
                }
                _ => {}
            }
            if same && after.attempts() < before.attempts() {
                complain("attempts went down");
            }
            if !same && !before.request_id().is_empty() && (before.outcome().is_none() || !retried) {
                complain("another request without a retry");
            }
        }
    }
    wrong
}
