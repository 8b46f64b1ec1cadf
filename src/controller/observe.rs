//! Observe: read the connector, once.

use std::time::Instant;

use tracing::Instrument as _;

use crate::cde::model::CallId;

use super::Managed;
use super::pass::{Interrupted, Pass};
use super::trace::note_answer;

impl<O: Managed> Pass<'_, O> {
    /// Reads the connector, when the rate lets it; the reading is for the next decision.
    ///
    /// # Errors
    /// None of its own: a read that fails is an observation, too.
    pub(super) async fn observe(&mut self, id: &CallId) -> Result<(), Interrupted> {
        let shared = self.context.shared.clone();
        // What was read before asked for this read: it must not answer for it.
        self.forget_reading();
        if !self.rated {
            shared.rate.permit().await;
            self.rated = true;
        }
        // Pause and turn may have changed meanwhile.
        if shared.stop.is_ordered() {
            self.over = true;
            return Ok(());
        }
        if !shared.gate.enter(&self.key, self.last_call()) {
            return Ok(());
        }
        self.rated = false;
        let token = shared.tokens.current();
        let begun = Instant::now();
        let span = self.step("observe", id);
        let reading =
            shared.cde.connector(self.object.wish().connector, id, &token).instrument(span.clone()).await;
        note_answer(&span, reading.as_ref().map(|_| ()));
        self.observed.token_changed =
            self.called("read", reading.as_ref().map(|_| ()), &token, begun.elapsed());
        self.observed.reading = Some(reading);
        Ok(())
    }
}
