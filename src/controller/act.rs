//! Act: make exactly one call, and at most one read to verify its response.

use tracing::Instrument as _;

use crate::api::Status;
use crate::cde::model::CallId;
use crate::operation::{Response, apply_response, confirm_by_read};
use crate::runtime::clock;

use super::claim::Claimed;
use super::context::Scope;
use super::kind::{Key, Kind};
use super::observe::{Call, note_result, observe};
use super::permits::Permits;
use super::trace::{note_answer, step};

pub(super) struct Acted<K: Kind> {
    pub(super) status: Status<K::Result>,
    /// Fields that a successful response lacked.
    pub(super) missing_fields: Vec<String>,
}

pub(super) async fn act<K: Kind>(
    scope: &Scope<K>,
    key: &Key,
    claimed: &Claimed<K>,
    permits: &Permits,
    id: &CallId,
) -> Acted<K> {
    let context = &scope.context;
    let object = claimed.object.as_ref();
    let call = object.call(&object.status().map(|status| status.result.clone()).unwrap_or_default());
    let (token, under_way) = context.credential.begin();
    scope.cache.remember(key, |memory| memory.unsent = None);
    let started = clock::monotonic();
    let span = step("act", (key, object), id);
    let answer = context.cde.send(&call, id, &token).instrument(span.clone()).await;
    note_answer(&span, answer.as_ref().err());
    drop((span, under_way));
    let made = Call { name: call.name(), token: &token, took: started.elapsed() };
    let noted =
        note_result(scope, (key, object), &permits.breaker, &made, answer.as_ref().map(|answer| answer.code));
    let response = Response {
        object,
        result: answer.as_ref().map(|answer| &answer.data),
        refusal_confirmed: noted.refusal_confirmed,
        token_changed: noted.token_changed,
        claim_left: claimed.left(),
        now: clock::now(),
        settings: &context.settings,
        jitter: clock::jitter(),
    };
    let mut status = apply_response(&response);
    let refused = status.outcome.is_none()
        && status.operation.as_ref().is_some_and(|operation| operation.refusal().is_some());
    if refused && permits.breaker.is_valid() && !context.stop.is_cancelled() {
        context.rate.permits(1).await;
        let reading = observe(scope, (key, object), &permits.breaker, id).await;
        let confirmed = reading.noted.refusal_confirmed;
        let response = Response { now: clock::now(), ..response };
        status = confirm_by_read(&response, &status, &reading.result, confirmed).unwrap_or(status);
    }
    Acted { status, missing_fields: answer.map(|answer| answer.missing_fields).unwrap_or_default() }
}
