//! Says what happens to the login: one log line and one Event for each transition, on the Secret.

use crate::oauth::Failure;
use crate::runtime::clock;
use crate::runtime::events::Event;

use super::super::session::Problem;
use super::Refresher;

impl Refresher {
    /// Reports a problem that only a person can end. Repetitions are silent.
    pub(super) fn announce_problem(&mut self, problem: Problem) {
        if self.session.problem().as_ref() != Some(&problem) {
            tracing::error!("{}", problem.message());
            let reason = match &problem {
                Problem::LoginRequired(_) => "LoginRequired",
                Problem::NotPermitted(_) => "SecretNotWritable",
            };
            self.publish(true, reason, problem.message().to_owned());
        }
        self.session.set_problem(Some(problem));
    }

    /// Reports a failed refresh. Only the first one in a row has an Event.
    pub(super) fn announce_failure(&self, failure: &Failure) {
        self.metrics.count(failure.as_str());
        tracing::warn!(
            error = failure.why(),
            failures = self.failures + 1,
            "the CDE login was not refreshed"
        );
        // A rejected refresh token has its own Event.
        if self.failures == 0 && !matches!(failure, Failure::InvalidGrant(_)) {
            let note =
                format!("The CDE login was not refreshed, and will be tried again: {}.", failure.why());
            self.publish(true, "RefreshFailed", note);
        }
    }

    /// Reports that the login works again, if it did not.
    pub(super) fn announce_recovery(&self) {
        if self.session.problem().is_some() {
            tracing::info!("there is a CDE login again");
            self.publish(false, "LoginRestored", "There is a CDE login again.".to_owned());
        }
    }

    fn publish(&self, warning: bool, reason: &'static str, note: String) {
        self.events.publish(Event {
            regarding: self.store.reference(),
            warning,
            reason,
            action: "RefreshLogin",
            note,
            at: clock::now(),
        });
    }
}
