//! Events about an object.

use crate::api::{CONFIRM_ANNOTATION, RETRY_ANNOTATION};
use crate::operation::{Announcement, InvalidConfirm, InvalidRetry, invalid_confirm, invalid_retry};
use crate::runtime::clock;
use crate::runtime::events::Event;
use crate::text::clean;

use super::context::Scope;
use super::kind::{Key, Kind};

pub(super) fn about<K: Kind>(object: &K, announcement: Announcement) -> Event {
    let Announcement { warning, reason, action, note } = announcement;
    let (regarding, action) = (object.object_ref(&()), action.unwrap_or(K::ACTION));
    Event { regarding, warning, reason, action, note, at: clock::now() }
}

/// Warns about invalid annotations, once for each value.
pub(super) fn warn_invalid_annotations<K: Kind>(scope: &Scope<K>, key: &Key, object: &K) {
    if let Some((value, why)) = invalid_retry(object, clock::now()) {
        let shown = clean(value, 64);
        let why = match why {
            InvalidRetry::Unreadable => format!("is not an RFC 3339 time: {shown}"),
            InvalidRetry::Ahead => {
                format!("is more than five minutes ahead of the operator's clock and is ignored: {shown}")
            }
        };
        let note = format!(
            "The annotation {RETRY_ANNOTATION} {why}. Example: kubectl annotate … {RETRY_ANNOTATION}=\"$(date -u +%FT%TZ)\" --overwrite"
        );
        warn(scope, key, object, (RETRY_ANNOTATION, value), "InvalidRetry", note);
    }
    if let Some((value, why)) = invalid_confirm(object) {
        let shown = clean(value, 64);
        let why = match why {
            InvalidConfirm::Unreadable => "is not OPERATION_ID:Succeeded or OPERATION_ID:Failed",
            InvalidConfirm::OtherRequest => "names another request than status.operation.id",
            InvalidConfirm::NotUnknown => "is ignored because the outcome of the request is not Unknown",
        };
        let note = format!("The annotation {CONFIRM_ANNOTATION} {why}: {shown}");
        warn(scope, key, object, (CONFIRM_ANNOTATION, value), "InvalidConfirm", note);
    }
}

fn warn<K: Kind>(
    scope: &Scope<K>,
    key: &Key,
    object: &K,
    (annotation, value): (&'static str, &str),
    reason: &'static str,
    note: String,
) {
    if scope.cache.remember(key, |memory| memory.first_warning(annotation, value)) == Some(true) {
        let announcement = Announcement { warning: true, reason, action: None, note };
        scope.context.events.publish(about(object, announcement));
    }
}
