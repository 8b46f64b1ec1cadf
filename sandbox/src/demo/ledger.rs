//! The calls that the CDE sandbox received and the changes that they made, from its ledger.

use cde_sandbox::table;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::sample::SAMPLES;
use super::terminal::{heading, say};

/// The ledger as the sandbox's control endpoint returns it.
#[derive(Deserialize)]
pub(crate) struct Ledger {
    calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Call {
    at: Timestamp,
    method: String,
    connector: Option<Uuid>,
    authorized: bool,
    answered: Value,
    effect: bool,
}

impl Ledger {
    /// Returns how many calls changed this connector.
    pub(crate) fn effects(&self, connector: Uuid) -> usize {
        self.of(connector).filter(|call| call.effect).count()
    }

    /// Returns how many calls there were.
    pub(crate) fn total(&self) -> usize {
        self.calls.len()
    }

    /// Returns how many calls arrived after this moment.
    pub(crate) fn since(&self, moment: Timestamp) -> usize {
        self.calls.iter().filter(|call| call.at > moment).count()
    }

    /// Returns how many calls had no valid token.
    pub(crate) fn unauthorized(&self) -> usize {
        self.calls.iter().filter(|call| !call.authorized).count()
    }

    fn of(&self, connector: Uuid) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| call.connector == Some(connector))
    }
}

impl Call {
    fn reads(&self) -> bool {
        self.method == "GET"
    }

    /// Returns the status code, or in a word or two how the connection ended.
    fn answer(&self) -> String {
        match &self.answered {
            Value::String(word) => word.clone(),
            Value::Object(one) => one
                .iter()
                .map(|(how, what)| match what {
                    Value::Number(status) => status.to_string(),
                    _ => format!("connection {how}"),
                })
                .collect(),
            other => other.to_string(),
        }
    }
}

/// Prints the ledger, one line per sample.
pub(crate) fn show(ledger: &Ledger) {
    heading("Calls that the CDE sandbox received: at most one change per connector");
    let rows = SAMPLES.iter().map(|sample| {
        let answers = |reads: bool| -> String {
            let calls = ledger.of(sample.connector).filter(|call| call.reads() == reads);
            let answers: Vec<String> = calls.map(Call::answer).collect();
            if answers.is_empty() { "-".to_owned() } else { answers.join(", ") }
        };
        let effects = ledger.effects(sample.connector).to_string();
        [sample.name.to_owned(), answers(true), answers(false), effects]
    });
    say(&table::render(["REQUEST", "READS", "WRITES", "CHANGES"], rows).join("\n"));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on unexpected results")]

    use super::*;

    #[test]
    fn calls_are_counted_by_effect_time_and_token_and_answers_are_shown_as_words() {
        let text = r#"{"total": 3, "effects": {}, "calls": [
            {"at": "2026-11-29T10:00:00Z", "authorized": true, "method": "GET", "connector": "00000000-0000-0000-0000-000000000001", "answered": {"status": 200}, "effect": false},
            {"at": "2026-11-29T10:00:01Z", "authorized": true, "method": "POST", "connector": "00000000-0000-0000-0000-000000000001", "answered": {"cut": "before-headers"}, "effect": true},
            {"at": "2026-11-29T10:00:02Z", "authorized": false, "method": "POST", "connector": null, "answered": "hung", "effect": false}]}"#;
        let ledger: Ledger = serde_json::from_str(text).unwrap();
        assert_eq!((ledger.effects(Uuid::from_u128(1)), ledger.effects(Uuid::from_u128(2))), (1, 0));
        assert_eq!((ledger.since("2026-11-29T10:00:00Z".parse().unwrap()), ledger.unauthorized()), (2, 1));
        let answers: Vec<String> = ledger.calls.iter().map(Call::answer).collect();
        assert_eq!(answers, ["200", "connection cut", "hung"]);
    }
}
