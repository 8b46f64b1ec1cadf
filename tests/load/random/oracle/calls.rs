//! Rules 1 to 3: which calls may be made.

use std::collections::{HashMap, HashSet};

use cde_sandbox::cde::Call;

use super::{Violation, about, requests};
use crate::random::evidence::{Claim, Evidence, History, attempt, has_status, is_clean_reading, refused};
use cde_harness::Kind;

/// Claims by request and attempt.
type Claims<'a> = HashMap<(String, u64), Claim<'a>>;

pub(super) fn claimed(evidence: &Evidence) -> Vec<Violation> {
    let claims = evidence.claims();
    let mut made = HashSet::new();
    let mut wrong = Vec::new();
    for call in evidence.changing() {
        let found = attempt(call).and_then(|(id, attempt)| claims.get(&(id.to_owned(), attempt)));
        let key = attempt(call).map(|(id, _)| id);
        let Some(claim) = found.filter(|_| key == call.idempotency_key.as_deref()) else {
            wrong.push(Violation {
                rule: "claimed",
                object: None,
                what: format!("no claim was stored for {call}"),
            });
            continue;
        };
        let mut complain =
            |what: &str| wrong.push(about("claimed", claim.history, format!("{what}: {call}")));
        if !made.insert(attempt(call)) {
            complain("the second call under one claim");
        }
        if call.connector != Some(claim.history.connector()) {
            complain("the connector of another object");
        }
        if call.at > claim.until && !evidence.was_frozen(claim, call) {
            complain("the claim had ended, and no process was frozen");
        }
    }
    wrong
}

pub(super) fn once(evidence: &Evidence) -> Vec<Violation> {
    let claims = evidence.claims();
    let mut wrong = Vec::new();
    for history in &evidence.histories {
        for request in requests(history) {
            let calls: Vec<&Call> = evidence.calls_of(request).collect();
            for (number, second) in calls.iter().enumerate() {
                for first in &calls[..number] {
                    let is_late =
                        came_late(evidence, &claims, first) || thawed_late(evidence, &claims, second);
                    if !is_late && !may_repeat(evidence, history, request, first, second) {
                        let what = format!("nothing allows another call:\n{first}\n{second}");
                        wrong.push(about("once", history, what));
                    }
                }
            }
        }
    }
    wrong
}

/// Returns whether the knowledge after the first call allowed the second.
pub(super) fn may_repeat(
    evidence: &Evidence,
    history: &History,
    request: &str,
    first: &Call,
    second: &Call,
) -> bool {
    let between = |read: &&Call| (first.sequence..second.sequence).contains(&read.sequence);
    (refused(first) && !first.effect)
        || evidence
            .reads_of(request)
            .filter(between)
            .any(|read| shows_no_effect(evidence, history, request, first, read))
}

/// Returns whether a read after `call` showed the operator that it had no effect.
pub(super) fn shows_no_effect(
    evidence: &Evidence,
    history: &History,
    request: &str,
    call: &Call,
    read: &Call,
) -> bool {
    let connector = history.connector();
    let at = read.carried_out.unwrap_or(read.at);
    if call.effect && call.carried_out > Some(at) {
        // A read does not count while the server may still be at work.
        return false;
    }
    match history.kind {
        Kind::Restore if is_clean_reading(read) => !evidence.is_live(connector, at),
        Kind::Restore => has_status(read, &[200, 403, 404]),
        Kind::Rollback => {
            let shown = evidence.visible(connector, at);
            is_clean_reading(read)
                && evidence
                    .reads_of(request)
                    .filter(|before| before.sequence < call.sequence && is_clean_reading(before))
                    .any(|before| {
                        shown == evidence.visible(connector, before.carried_out.unwrap_or(before.at))
                    })
        }
    }
}

/// Returns whether the CDE API carried the call out only after its claim had ended, through no fault of the caller.
pub(super) fn came_late(evidence: &Evidence, claims: &Claims<'_>, call: &Call) -> bool {
    let outlives =
        |claim: &Claim<'_>| call.at <= claim.until && call.carried_out.is_some_and(|at| at > claim.until);
    claim_of(claims, call).is_some_and(outlives) || thawed_late(evidence, claims, call)
}

/// Returns whether the call came out of a process that was frozen beyond its claim.
fn thawed_late(evidence: &Evidence, claims: &Claims<'_>, call: &Call) -> bool {
    let claim = claim_of(claims, call);
    claim.is_some_and(|claim| call.at > claim.until && evidence.was_frozen(claim, call))
}

fn claim_of<'a, 'b>(claims: &'b Claims<'a>, call: &Call) -> Option<&'b Claim<'a>> {
    let (id, attempt) = attempt(call)?;
    claims.get(&(id.to_owned(), attempt))
}

pub(super) fn effects(evidence: &Evidence) -> Vec<Violation> {
    let claims = evidence.claims();
    let mut wrong = Vec::new();
    for history in &evidence.histories {
        for request in requests(history) {
            let had: Vec<&Call> = evidence
                .calls_of(request)
                .filter(|call| call.effect && !came_late(evidence, &claims, call))
                .collect();
            let seen = had.windows(2).all(|two| {
                history.kind == Kind::Rollback && may_repeat(evidence, history, request, two[0], two[1])
            });
            if !seen {
                wrong.push(about("effects", history, format!("{} effects of {request}", had.len())));
            }
        }
    }
    wrong
}
