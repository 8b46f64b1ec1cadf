//! The requests to the API server by others than the benchmark: from the audit log of its own control plane, or from the
//! metrics of a cluster.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use cde_sandbox::control_plane::AuditEvent;

/// The user of the benchmark's own requests.
const ADMINISTRATOR: &str = "admin";

/// The number of requests for each verb of RBAC, and for writes of Events. Watches and Leases are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Requests(BTreeMap<&'static str, f64>);

impl Requests {
    pub(crate) const WRITES: [&str; 4] = ["create", "update", "patch", "delete"];
    pub(crate) const READS: [&str; 2] = ["get", "list"];
    pub(crate) const EVENTS: &str = "Events";

    pub(crate) fn of_audit(events: &[AuditEvent]) -> Self {
        let mut requests = Self::default();
        for event in events.iter().filter(|event| event.user != ADMINISTRATOR) {
            requests.add(&event.verb, &event.resource, 1.0);
        }
        requests
    }

    /// Reads the metrics of an API server.
    ///
    /// # Errors
    /// If they do not have the number of requests.
    pub(crate) fn of_metrics(text: &str) -> Result<Self> {
        let mut requests = Self::default();
        for line in text.lines().filter_map(|line| line.strip_prefix("apiserver_request_total{")) {
            let label = |name: &str| {
                let value = line.split(',').find_map(|label| label.strip_prefix(name)?.strip_prefix("=\""));
                value.and_then(|value| value.split('"').next())
            };
            let number = line.rsplit(' ').next().and_then(|number| number.parse().ok());
            let (verb, resource) = label("verb").zip(label("resource")).context("a metric without labels")?;
            requests.add(verb, resource, number.context("a metric without a number")?);
        }
        Ok(requests)
    }

    /// Adds requests with a verb of the audit log, or one of the metrics.
    fn add(&mut self, verb: &str, resource: &str, number: f64) {
        let verb = match verb.to_ascii_lowercase().as_str() {
            "create" | "post" => "create",
            "update" | "put" => "update",
            "patch" | "apply" => "patch",
            "delete" | "deletecollection" => "delete",
            "get" => "get",
            "list" => "list",
            _ => return,
        };
        let word = match resource {
            "" | "leases" => return,
            "events" if Self::WRITES.contains(&verb) => Self::EVENTS,
            _ => verb,
        };
        *self.0.entry(word).or_default() += number;
    }

    /// Returns the number for a verb, or for [`Self::EVENTS`].
    pub(crate) fn number(&self, word: &str) -> f64 {
        self.0.get(word).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn metrics_are_summed_without_watches_leases_and_other_paths() {
        let line = |verb: &str, resource: &str, number: u8| {
            format!(
                "apiserver_request_total{{code=\"200\",resource=\"{resource}\",verb=\"{verb}\"}} {number}\n"
            )
        };
        let text = [
            line("POST", "pods", 3),
            line("POST", "jobs", 1),
            line("APPLY", "jobs", 2),
            line("POST", "events", 4),
            line("LIST", "events", 5),
            line("WATCH", "pods", 6),
            line("PUT", "leases", 7),
            line("GET", "", 8),
            "apiserver_request_total_other{verb=\"GET\"} 1\n".to_owned(),
        ];
        let requests = Requests::of_metrics(&text.concat()).unwrap();
        let expected = [("create", 4.0), ("patch", 2.0), ("Events", 4.0), ("list", 5.0)];
        assert_eq!(requests, Requests(expected.into()));
    }

    #[test]
    fn the_audit_log_is_counted_without_the_administrator() {
        let event = |user: &str, verb: &str| AuditEvent {
            user: user.into(),
            verb: verb.into(),
            resource: "jobs".into(),
            ..AuditEvent::default()
        };
        let events = [event("admin", "create"), event("other", "update"), event("other", "watch")];
        assert_eq!(Requests::of_audit(&events), Requests([("update", 1.0)].into()));
    }
}
