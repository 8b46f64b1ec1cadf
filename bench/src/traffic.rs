//! The requests to the API server in one namespace by the operator, or by a bare program in its place. They are counted
//! in the audit log, which costs the measured process nothing.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cde_sandbox::control_plane::{AuditEvent, OPERATOR_NAMESPACE};

use crate::stage::{ACCOUNT, Stage};

/// Without a new Event for this long, no more are expected.
const QUIET: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(500);

/// Completed requests; a watch counts once it has ended.
pub(crate) struct Traffic(Vec<AuditEvent>);

impl Traffic {
    /// Returns all requests so far.
    ///
    /// # Errors
    /// If the audit log cannot be read.
    pub(crate) fn of(stage: &Stage, namespace: &str) -> Result<Self> {
        let account = format!("system:serviceaccount:{OPERATOR_NAMESPACE}:{ACCOUNT}");
        let mut events = stage.plane.audit()?;
        events.retain(|event| event.user == account && event.namespace == namespace);
        Ok(Self(events))
    }

    /// Waits for the expected number of Events, or until no more come, and returns all requests.
    ///
    /// # Errors
    /// If the audit log cannot be read.
    pub(crate) async fn with_events(stage: &Stage, namespace: &str, expected: usize) -> Result<Self> {
        let (mut known, mut since) = (0, Instant::now());
        loop {
            let traffic = Self::of(stage, namespace)?;
            let now = traffic.events();
            if now >= expected || since.elapsed() > QUIET {
                return Ok(traffic);
            }
            if now > known {
                (known, since) = (now, Instant::now());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Returns the status writes that were stored.
    pub(crate) fn status_writes(&self) -> impl Iterator<Item = &AuditEvent> {
        self.0.iter().filter(|event| event.subresource == "status" && event.code < 300)
    }

    /// Returns the number of published Events.
    pub(crate) fn events(&self) -> usize {
        self.0.iter().filter(|event| event.resource == "events" && event.code < 300).count()
    }

    /// Returns the number of requests that change something, including Events.
    pub(crate) fn writes(&self) -> usize {
        self.count(|event| !matches!(event.verb.as_str(), "get" | "list" | "watch"))
    }

    /// Returns the number of requests that meet a condition.
    pub(crate) fn count(&self, condition: impl Fn(&AuditEvent) -> bool) -> usize {
        self.0.iter().filter(|event| condition(event)).count()
    }

    /// Returns the time from the arrival of the first status write to the response to the last one.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn span(&self) -> Result<Duration> {
        let first =
            self.status_writes().map(|event| event.received).min().context("no status was written")?;
        let last = self.status_writes().map(|event| event.answered).max().context("no status was written")?;
        let span = Duration::try_from(last.duration_since(first))?;
        ensure!(!span.is_zero(), "all statuses were written in no time");
        Ok(span)
    }
}
