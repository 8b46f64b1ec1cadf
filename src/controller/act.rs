//! Act: exactly one call.

use std::time::Instant;

use jiff::Timestamp;
use tracing::Instrument as _;

use crate::api::Status;
use crate::cde::model::{Call, CallId};
use crate::operation::{Conclusion, conclude};

use super::Managed;
use super::claim::Claimed;
use super::pass::Pass;
use super::trace::note_answer;

/// What came of the call: the outcome, to be recorded.
pub(super) struct Acted<R> {
    pub(super) status: Status<R>,
    pub(super) odd: Vec<String>,
}

impl<O: Managed> Pass<'_, O> {
    /// Makes the call that the claim is for.
    pub(super) async fn act(&mut self, claimed: Claimed, id: &CallId) -> Acted<O::Result> {
        let shared = self.context.shared.clone();
        let result = self.object.status().map(|status| status.result.clone()).unwrap_or_default();
        let call = self.object.call(&result);
        let token = shared.tokens.current();
        let begun = Instant::now();
        let span = self.step("act", id);
        let answer = shared.cde.send(&call, id, &token).instrument(span.clone()).await;
        note_answer(&span, answer.as_ref().map(|_| ()));
        let token_changed = self.called(name(&call), answer.as_ref().map(|_| ()), &token, begun.elapsed());
        let status = conclude(&Conclusion {
            object: self.object.as_ref(),
            answer: answer.as_ref().map(|answer| &answer.data),
            token_changed,
            claim_left: claimed.left(),
            now: Timestamp::now(),
            settings: &shared.settings,
            jitter: rand::random(),
        });
        Acted { status, odd: answer.map(|answer| answer.odd).unwrap_or_default() }
    }
}

/// The operation's name in metrics.
fn name(call: &Call) -> &'static str {
    match call {
        Call::RestoreFromBin { .. } => "restore",
        Call::RollBackMigration { .. } => "rollback",
    }
}
