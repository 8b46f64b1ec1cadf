//! Tests of the oracle: each rule detects its violation, and none is reported for a correct run.

use std::time::Duration;

use cde_sandbox::cde::{Answered, Call, Connector, CutPoint, Operation};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::judge;
use crate::random::actor::Freeze;
use crate::random::evidence::{Evidence, History, Process};
use cde_harness::{Kind, Object};

const REQUEST: &str = "497f6eca-6276-4993-bfeb-53cbbbba6f08";
const ID: Uuid = Uuid::from_u128(7);
const CHANGES: Operation = Operation::Changing;

/// Returns the time this many seconds after the start.
fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

/// A rollback and its events. `judged` returns the rules that it breaks.
struct Scenario {
    evidence: Evidence,
    kind: Kind,
}

impl Scenario {
    fn of(kind: Kind) -> Self {
        let connector = Connector { in_bin: kind == Kind::Restore, ..Connector::migrated(ID) };
        let connectors = [(ID, connector)].into();
        let process = Process { pod: "pod".to_owned(), ..Process::default() };
        let (rate, operators) = (50, 1);
        let history = History { uid: "uid".to_owned(), kind, deleted: false, versions: Vec::new() };
        let (histories, processes) = (vec![history], vec![process]);
        let evidence = Evidence { connectors, histories, processes, rate, operators, ..Evidence::default() };
        Self { evidence, kind }.version(&json!({"observedGeneration": -1}))
    }

    fn rollback() -> Self {
        Self::of(Kind::Rollback)
    }

    fn version(mut self, status: &Value) -> Self {
        let version = self.evidence.histories[0].versions.len();
        let object = json!({
            "metadata": {"name": "o", "generation": 1, "resourceVersion": version.to_string(),
                "creationTimestamp": at(0).to_string()},
            "spec": {"connectorID": ID},
            "status": status,
        });
        self.evidence.histories[0].versions.push(Object(object));
        self
    }

    /// Changes the last version.
    fn but(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.evidence.histories[0].versions.last_mut().unwrap().0);
        self
    }

    /// Adds a version with the conditions that the contract requires for this reason.
    fn says(self, reason: &str, ready: &str, companion: Option<&str>, mut status: Value) -> Self {
        let record = ready == "True";
        let generation = (!record).then_some(1);
        let condition = |type_: &str, status: &str| json!({"type": type_, "status": status, "reason": reason, "message": "m", "observedGeneration": generation});
        let mut conditions = vec![condition("Ready", ready)];
        conditions.extend(companion.map(|type_| condition(type_, "True")));
        status["reason"] = json!(reason);
        status["conditions"] = json!(conditions);
        status["observedGeneration"] = json!(generation);
        status["operation"]["id"] = json!(REQUEST);
        status["operation"]["startTime"] = json!(at(0).to_string());
        self.version(&status)
    }

    /// Adds a claim of six seconds.
    fn claims(self, attempt: u64, from: i64) -> Self {
        let status = json!({"operation": {
            "attempts": attempt,
            "lastAttemptTime": at(from).to_string(),
            "inFlight": {"holder": "pod-1", "attempt": attempt, "until": at(from + 6).to_string()},
        }});
        self.says("InProgress", "Unknown", Some("Reconciling"), status)
    }

    fn ends(self, reason: &str, outcome: &str, evidence: Option<&str>) -> Self {
        let attempts = self.evidence.histories[0].last().attempts();
        let status = json!({"outcome": outcome, "operation": {
            "attempts": attempts, "completionTime": at(99).to_string(), "evidence": evidence,
        }});
        match outcome {
            "Succeeded" | "Skipped" => self.says(reason, "True", None, status),
            _ => self.says(reason, "False", Some("Stalled"), status),
        }
    }

    fn succeeds(self) -> Self {
        self.ends("RolledBack", "Succeeded", Some("Response"))
    }

    fn call(
        mut self,
        operation: Operation,
        second: i64,
        attempt: u64,
        answered: Answered,
        effect: bool,
    ) -> Self {
        let changing = operation != Operation::Read;
        let operation = match (operation, self.kind) {
            (Operation::Read, _) => operation,
            (_, Kind::Restore) => Operation::Restore,
            (_, Kind::Rollback) => Operation::Rollback,
        };
        self.evidence.ledger.push(Call {
            sequence: self.evidence.ledger.len() as u64 + 1,
            at: at(second),
            connection: 1,
            method: String::new(),
            path: String::new(),
            operation: Some(operation),
            connector: Some(ID),
            version: None,
            idempotency_key: changing.then(|| REQUEST.to_owned()),
            request_id: Some(format!("{REQUEST}-{attempt}")),
            user_agent: None,
            traceparent: None,
            authorization: true,
            authorized: true,
            answered,
            effect,
            carried_out: Some(at(second)),
            struck: false,
        });
        self
    }

    fn reads(self, second: i64, attempt: u64) -> Self {
        self.call(Operation::Read, second, attempt, Answered::Status(200), false)
    }

    /// Adds a call with a response and an effect.
    fn works(self, second: i64, attempt: u64) -> Self {
        self.call(CHANGES, second, attempt, Answered::Status(200), true)
    }

    /// Adds a call without a response and without an effect.
    fn hangs(self, second: i64, attempt: u64) -> Self {
        self.call(CHANGES, second, attempt, Answered::Hung, false)
    }

    /// Adds a call without a response that had its effect.
    fn loses_its_answer(self, second: i64, attempt: u64) -> Self {
        self.call(CHANGES, second, attempt, Answered::Abandoned, true)
    }

    fn frozen(mut self, from: i64, to: i64) -> Self {
        self.evidence.processes[0].freezes.push(Freeze { from: at(from), to: at(to), unheard: None });
        self
    }

    /// Freezes the process when this claim was stored, before it got the reply.
    fn frozen_at_claim(mut self, attempt: u64, to: i64) -> Self {
        let unheard = Some((REQUEST.to_owned(), attempt));
        self.evidence.processes[0].freezes.push(Freeze { from: at(1), to: at(to), unheard });
        self
    }

    fn judged(&self) -> Vec<&'static str> {
        let mut rules: Vec<_> = judge(&self.evidence).into_iter().map(|violation| violation.rule).collect();
        rules.dedup();
        rules
    }
}

/// Returns a rollback that succeeded.
fn good() -> Scenario {
    Scenario::rollback().reads(1, 0).claims(1, 1).works(2, 1).succeeds()
}

#[test]
fn a_correct_run_breaks_no_rule() {
    assert_eq!(good().judged(), [""; 0]);
    let verified = Scenario::rollback().reads(1, 0).claims(1, 1).loses_its_answer(2, 1).reads(9, 1);
    assert_eq!(verified.ends("RolledBack", "Succeeded", Some("ObservedChange")).judged(), [""; 0]);
    let again =
        Scenario::rollback().reads(1, 0).claims(1, 1).hangs(2, 1).reads(9, 1).claims(2, 9).works(10, 2);
    assert_eq!(again.succeeds().judged(), [""; 0]);
    let refused =
        Scenario::rollback().reads(1, 0).claims(1, 1).call(CHANGES, 2, 1, Answered::Status(423), false);
    assert_eq!(refused.claims(2, 3).works(4, 2).succeeds().judged(), [""; 0]);
    let unread = Scenario::of(Kind::Restore).claims(1, 1).loses_its_answer(2, 1);
    let unread = unread.call(Operation::Read, 9, 1, Answered::Status(403), false).claims(2, 9).hangs(10, 2);
    assert_eq!(unread.ends("OutcomeUnknown", "Unknown", None).judged(), [""; 0]);
}

#[test]
fn a_call_without_its_own_claim_is_detected() {
    assert_eq!(Scenario::rollback().reads(1, 0).works(2, 1).succeeds().judged(), ["claimed"]);
    let twice = Scenario::rollback().reads(1, 0).claims(1, 1);
    let twice = twice.call(CHANGES, 2, 1, Answered::Status(429), false).works(3, 1).succeeds();
    assert_eq!(twice.judged(), ["claimed"]);
    let late = || Scenario::rollback().reads(1, 0).claims(1, 1).works(8, 1).succeeds();
    assert_eq!(late().judged(), ["claimed"]);
    assert_eq!(late().frozen(2, 8).judged(), [""; 0], "the contract's limit");
    assert_eq!(late().frozen_at_claim(1, 8).judged(), ["claimed"], "it could notice");
    assert_eq!(late().frozen_at_claim(2, 8).judged(), [""; 0], "of another claim");
    let mut strange = good();
    strange.evidence.ledger[1].connector = Some(Uuid::from_u128(8));
    assert!(strange.judged().contains(&"claimed"));
}

#[test]
fn a_repeated_call_without_a_read_is_detected() {
    for lost in
        [Answered::Status(500), Answered::Status(409), Answered::Hung, Answered::Cut(CutPoint::BeforeHeaders)]
    {
        let blind = Scenario::rollback().reads(1, 0).claims(1, 1).call(CHANGES, 2, 1, lost, false);
        assert_eq!(blind.claims(2, 9).works(10, 2).succeeds().judged(), ["once"], "{lost:?}");
    }
    let mut struck = Scenario::rollback().reads(1, 0).claims(1, 1).hangs(2, 1).reads(9, 1).claims(2, 9);
    struck.evidence.ledger[2].struck = true;
    assert_eq!(struck.works(10, 2).succeeds().judged(), ["once"], "the read failed");
    let refused = Scenario::rollback().reads(1, 0).claims(1, 1).hangs(2, 1);
    let refused = refused.call(Operation::Read, 9, 1, Answered::Status(403), false).claims(2, 9);
    assert_eq!(refused.works(10, 2).succeeds().judged(), ["once"], "only a restore may");
    let restore = Scenario::of(Kind::Restore).claims(1, 1).hangs(2, 1).claims(2, 9).works(10, 2);
    assert_eq!(restore.ends("Restored", "Succeeded", Some("Response")).judged(), ["once"]);
}

#[test]
fn a_read_before_the_server_is_done_is_detected() {
    let mut raced =
        Scenario::rollback().reads(1, 0).claims(1, 1).loses_its_answer(2, 1).reads(3, 1).claims(2, 3);
    raced.evidence.ledger[1].carried_out = Some(at(4));
    assert_eq!(raced.works(4, 2).succeeds().judged(), ["once", "effects"]);
}

#[test]
fn a_second_effect_is_detected_unless_the_first_was_invisible() {
    let twice = |tale: Scenario| {
        tale.reads(1, 0).claims(1, 1).loses_its_answer(2, 1).reads(9, 1).claims(2, 9).works(10, 2)
    };
    assert_eq!(twice(Scenario::rollback()).succeeds().judged(), ["once", "effects"]);
    let mut unseen = Scenario::rollback();
    let connector = unseen.evidence.connectors.get_mut(&ID).unwrap();
    connector.rollback = cde_sandbox::cde::RollbackEffect::Invisible;
    assert_eq!(twice(unseen).succeeds().judged(), [""; 0]);
}

#[test]
fn a_second_effect_is_allowed_only_if_a_call_outlived_its_claim() {
    let tale =
        || Scenario::rollback().reads(1, 0).claims(1, 1).reads(9, 0).claims(2, 9).works(10, 2).works(11, 1);
    assert_eq!(tale().succeeds().judged(), ["claimed", "once", "effects"]);
    assert_eq!(tale().frozen(2, 11).succeeds().judged(), [""; 0]);
    let mut slow = Scenario::rollback()
        .reads(1, 0)
        .claims(1, 1)
        .loses_its_answer(2, 1)
        .reads(9, 1)
        .claims(2, 9)
        .works(10, 2);
    slow.evidence.ledger[1].carried_out = Some(at(10));
    assert_eq!(slow.succeeds().judged(), [""; 0]);
}

#[test]
fn a_claim_past_a_limit_is_detected() {
    let spec = |change: Value| {
        let tale = Scenario::rollback().reads(1, 0).claims(1, 5).but(|it| it["spec"] = change);
        tale.works(6, 1).succeeds().judged()
    };
    assert_eq!(spec(json!({"connectorID": ID, "suspend": true})), ["limits"]);
    assert_eq!(spec(json!({"connectorID": ID, "notAfter": at(5).to_string()})), ["limits"]);
    assert_eq!(spec(json!({"connectorID": ID, "deadlineSeconds": 4})), ["limits"]);
    assert_eq!(spec(json!({"connectorID": ID, "notAfter": at(6).to_string()})), [""; 0]);
}

#[test]
fn an_object_without_an_end_or_with_an_invalid_status_is_detected() {
    assert_eq!(Scenario::rollback().reads(1, 0).claims(1, 1).works(2, 1).judged(), ["ends"]);
    assert_eq!(Scenario::rollback().judged(), ["ends"]);
    let odd = good().but(|object| object["status"]["operation"]["completionTime"] = Value::Null);
    assert_eq!(odd.judged(), ["ends"]);
}

#[test]
fn a_false_outcome_is_detected() {
    let unanswered = Scenario::rollback().reads(1, 0).claims(1, 1).hangs(2, 1).succeeds();
    assert_eq!(unanswered.judged(), ["truth"]);
    let unseen = Scenario::rollback().reads(1, 0).claims(1, 1).loses_its_answer(2, 1);
    assert_eq!(unseen.ends("RolledBack", "Succeeded", Some("ObservedChange")).judged(), ["truth"]);
    let binned = Scenario::of(Kind::Restore).claims(1, 1).hangs(2, 1).reads(9, 1);
    assert_eq!(binned.ends("Restored", "Succeeded", Some("ObservedLive")).judged(), ["truth"]);
    let failed = Scenario::rollback().reads(1, 0).claims(1, 1).loses_its_answer(2, 1);
    assert_eq!(failed.ends("OperationNotAllowed", "Failed", None).judged(), ["truth"]);
    let skipped = Scenario::rollback().reads(1, 0).claims(1, 1).works(2, 1);
    assert_eq!(skipped.ends("Skipped", "Skipped", None).judged(), ["truth"]);
}

#[test]
fn an_outcome_that_changes_is_detected() {
    let changed = good().succeeds().but(|object| object["status"]["state"] = json!("other"));
    assert_eq!(changed.judged(), ["finality"]);
    let failed = || Scenario::rollback().reads(1, 0).ends("NotFound", "Failed", None);
    let reopened = failed().claims(1, 3).works(4, 1).succeeds();
    assert_eq!(reopened.judged(), ["truth", "finality"]);
    let other = failed().claims(1, 3).but(|object| object["status"]["operation"]["id"] = json!("other"));
    assert!(other.judged().contains(&"finality"), "nobody requested a retry");
    let fewer = Scenario::rollback().reads(1, 0).claims(2, 1).works(2, 2).claims(1, 3).succeeds();
    assert_eq!(fewer.judged(), ["finality"]);
}

#[test]
fn excessive_costs_are_detected() {
    let mut chatty = Scenario::rollback();
    for second in 0..20 {
        let status = json!({"state": second.to_string()});
        chatty = chatty.says("Queued", "Unknown", Some("Reconciling"), status);
    }
    assert_eq!(chatty.reads(1, 0).claims(1, 1).works(2, 1).succeeds().judged(), ["thrift"]);
    let curious = (0..40).fold(good(), |tale, second| tale.reads(second, 1));
    assert_eq!(curious.judged(), ["thrift"]);
    let hasty = (0..400).fold(good(), |tale, _| tale.reads(3, 1));
    assert_eq!(hasty.judged(), ["thrift", "rate"]);
    let mut spinning = good();
    spinning.evidence.processes[0].reconciles = Some(1_000);
    assert_eq!(spinning.judged(), ["thrift"]);
}

#[test]
fn a_visible_token_is_detected() {
    let mut told = good();
    told.evidence.secrets = vec!["canary".to_owned()];
    told.evidence.shown = vec![("a log".to_owned(), "all well\nwith canary".to_owned())];
    assert_eq!(told.judged(), ["secrets"]);
}

#[test]
fn a_process_that_panics_or_ends_by_itself_is_detected() {
    let mut panicked = good();
    panicked.evidence.processes[0].log = "thread 'main' panicked at src".to_owned();
    assert_eq!(panicked.judged(), ["processes"]);
    let mut ended = good();
    ended.evidence.processes[0].complaint = Some(format!("it took {:?}", Duration::from_secs(15)));
    assert_eq!(ended.judged(), ["processes"]);
}
