//! Record: store what was decided; an outcome is kept and written again until it is stored.

use std::time::Duration;

use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::api::{Outcome, Reason, Status};
use crate::operation::{announce, onto, without_data};

use super::Managed;
use super::events::Event;
use super::pass::{Interrupted, Pass};
use super::reconcile::call_id;
use super::status_write::{Unstored, put_status, read_back};
use super::trace::written;

/// First and longest wait between two writes of one outcome.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

impl<O: Managed> Pass<'_, O> {
    /// Stores `status`: once, where it only says what is waited for; until it is stored, where it is the outcome
    /// of a call.
    ///
    /// # Errors
    /// [`Interrupted`] when a status that is no outcome could not be stored.
    pub(super) async fn record(&mut self, status: Status<O::Result>) -> Result<(), Interrupted> {
        let span = self.step("record", &call_id(&status));
        span.set_attribute("cde.reason", status.reason.map(Reason::as_str).unwrap_or_default());
        let stored = self.store(status).instrument(span.clone()).await;
        written(&span, stored)
    }

    async fn store(&mut self, status: Status<O::Result>) -> Result<(), Interrupted> {
        if self.unrecorded.is_some() {
            self.unrecorded = Some(status.clone());
            self.insist(status).await;
            return Ok(());
        }
        match put_status(&self.context.shared, self.object.as_ref(), &status).await {
            Ok(object) => self.stored(&status, object),
            Err(Unstored::Gone) => self.gone(),
            Err(Unstored::Conflict) => match read_back(&self.context.shared, self.object.as_ref()).await? {
                Some(object) => self.take(object),
                None => self.gone(),
            },
            Err(Unstored::Refused(why) | Unstored::Unclear(why)) => return Err(Interrupted::ApiServer(why)),
        }
        Ok(())
    }

    /// Writes an outcome until it is stored, or is not ours to store any more.
    async fn insist(&mut self, mut status: Status<O::Result>) {
        let mut wait = RETRY.0;
        loop {
            match put_status(&self.context.shared, self.object.as_ref(), &status).await {
                Ok(object) => return self.stored(&status, object),
                Err(Unstored::Gone) => return self.gone(),
                Err(Unstored::Refused(why)) => {
                    tracing::error!(
                        error = why,
                        "the API server refuses the outcome; writing it without the CDE's data"
                    );
                    status = without_data(&status);
                }
                Err(Unstored::Conflict) => {}
                Err(Unstored::Unclear(why)) => {
                    tracing::warn!(error = why, "the outcome is not stored yet");
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
            match read_back(&self.context.shared, self.object.as_ref()).await {
                Ok(None) => return self.gone(),
                Ok(Some(fresh)) if fresh.status() == Some(&status) => return self.stored(&status, fresh),
                Ok(Some(fresh)) if self.may_record(&fresh, &status) => {
                    status = onto(&status, fresh.status());
                    self.object = fresh.into();
                }
                Ok(Some(fresh)) => {
                    tracing::warn!("the claim is another's by now: the outcome of this call is dropped");
                    self.unrecorded = None;
                    return self.take(fresh);
                }
                Err(_) => {}
            }
        }
    }

    /// The claim still stands; or the outcome is a success of this very request, which is open.
    fn may_record(&self, fresh: &O, status: &Status<O::Result>) -> bool {
        let claim = |status: Option<&Status<O::Result>>| {
            let operation = status?.operation.as_ref()?;
            Some((operation.id.clone(), operation.in_flight.clone()?))
        };
        let request = |status: Option<&Status<O::Result>>| Some(status?.operation.as_ref()?.id.clone());
        let stands =
            claim(self.object.status()).is_some() && claim(fresh.status()) == claim(self.object.status());
        let open = fresh.status().is_none_or(|stored| stored.outcome.is_none());
        let success = status.outcome == Some(Outcome::Succeeded);
        stands || (success && open && request(fresh.status()) == request(Some(status)))
    }

    /// It is stored: tell whoever should know.
    fn stored(&mut self, status: &Status<O::Result>, object: O) {
        let shared = &self.context.shared;
        let before = self.object.status();
        let told = |id: &str| status.outcome.is_none() && !shared.roster.first_wait(&self.key, id);
        let announcement = announce(before, status, &self.odd)
            .filter(|_| !status.operation.as_ref().is_some_and(|operation| told(&operation.id)));
        if let Some(announcement) = announcement {
            tracing::info!(reason = announcement.reason, "{}", announcement.note);
            shared.events.publish(Event::about(&object, announcement));
        }
        if status.outcome.is_some() && before.is_none_or(|status| status.outcome.is_none()) {
            self.finished = self.whole(status);
        }
        shared.metrics.stored(O::KIND, before.and_then(|status| status.outcome), status);
        self.unrecorded = None;
        self.odd.clear();
        self.take(object);
    }
}
