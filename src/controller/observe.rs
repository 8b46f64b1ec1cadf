//! Observe: read the connector, and report the result of any call to metrics, circuit breaker and memory.

use std::time::Duration;

use tracing::Instrument as _;

use crate::cde::Token;
use crate::cde::model::{CallId, Connector, Failure};
use crate::operation::undocumented_refusal;
use crate::runtime::clock;

use super::circuit_breaker::Permit;
use super::context::Scope;
use super::kind::{Key, Kind};
use super::memory::Refusal;
use super::permits::usable_token;
use super::trace::{note_answer, step};

pub(super) struct Reading {
    pub(super) result: Result<Connector, Failure>,
    pub(super) noted: Noted,
}

/// Facts about a failed call that the object does not hold.
#[derive(Clone, Copy, Default)]
pub(super) struct Noted {
    /// The rejected token has been replaced since, or is being replaced.
    pub(super) token_changed: bool,
    /// Earlier refusals confirm this one.
    pub(super) refusal_confirmed: bool,
}

pub(super) async fn observe<K: Kind>(
    scope: &Scope<K>,
    (key, object): (&Key, &K),
    permit: &Permit,
    id: &CallId,
) -> Reading {
    let context = &scope.context;
    let connector = object.request_spec().connector.to_string();
    usable_token(context).await;
    let (token, under_way) = context.credential.begin();
    let started = clock::monotonic();
    let span = step("observe", (key, object), id);
    let result = context.cde.connector(&connector, id, &token).instrument(span.clone()).await;
    note_answer(&span, result.as_ref().err());
    drop((span, under_way));
    let call = Call { name: "read", token: &token, took: started.elapsed() };
    let noted = note_result(scope, (key, object), permit, &call, result.as_ref().map(|answer| answer.code));
    Reading { result: result.map(|answer| answer.data), noted }
}

pub(super) struct Call<'a> {
    /// The label in metrics.
    pub(super) name: &'static str,
    pub(super) token: &'a Token,
    pub(super) took: Duration,
}

/// Reports the result of a call: the code of a success, or the failure.
pub(super) fn note_result<K: Kind>(
    scope: &Scope<K>,
    (key, object): (&Key, &K),
    permit: &Permit,
    call: &Call<'_>,
    result: Result<u16, &Failure>,
) -> Noted {
    let context = &scope.context;
    let failure = result.err();
    let code = result.map_or_else(Failure::code, Some);
    context.metrics.called(call.name, code, call.took);
    let refused = code == Some(401);
    let token_changed = if refused {
        context.credential.rejected(call.token)
    } else {
        !context.credential.is_current(call.token)
    };
    permit.report(object.request_spec().connector, failure, token_changed);
    match failure {
        // The outcome is logged when it is stored.
        None => tracing::debug!(call = call.name, "call succeeded"),
        Some(failure) => tracing::info!(call = call.name, code, error = failure.message, "call failed"),
    }
    let undocumented = failure.and_then(undocumented_refusal);
    let time = context.settings.confirmation_time();
    let refusal = scope.cache.remember(key, |memory| memory.note_refusal(call.name, undocumented, time));
    let refusal = refusal.unwrap_or(Refusal::None);
    if let (Refusal::Unconfirmed { first }, Some(code)) = (refusal, undocumented) {
        context.metrics.unconfirmed_refusal(code);
        if first {
            tracing::warn!(
                call = call.name,
                code,
                error = failure.map(|failure| failure.message.as_str()),
                "undocumented refusal, maybe from a gateway; retrying until it is confirmed"
            );
        }
    }
    let refusal_confirmed = refusal == Refusal::Confirmed;
    Noted { token_changed: refused && token_changed, refusal_confirmed }
}
