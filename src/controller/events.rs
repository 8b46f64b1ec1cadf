//! Which Events there are about an object.

use crate::api::RETRY_ANNOTATION;
use crate::operation::{Announcement, InvalidRetry, invalid_retry};
use crate::runtime::clock;
use crate::runtime::events::Event;
use crate::text::clean;

use super::context::Scope;
use super::kind::{Key, Kind};

/// An Event about `object`, now.
pub(super) fn about<K: Kind>(object: &K, announcement: Announcement) -> Event {
    let Announcement { warning, reason, action, note } = announcement;
    let (regarding, action) = (object.object_ref(&()), action.unwrap_or(K::ACTION));
    Event { regarding, warning, reason, action, note, at: clock::now() }
}

/// Warns about a retry annotation that asks for nothing, once for each value.
pub(super) fn warn_invalid_retry<K: Kind>(scope: &Scope<K>, key: &Key, object: &K) {
    let Some((value, why)) = invalid_retry(object, clock::now()) else { return };
    if scope.cache.remember(key, |memory| memory.first_warning(value)) != Some(true) {
        return;
    }
    let value = clean(value, 64);
    let why = match why {
        InvalidRetry::Unreadable => format!("is not an RFC 3339 time: {value}"),
        InvalidRetry::Ahead => {
            format!("is more than five minutes ahead of the operator's clock and asks for nothing: {value}")
        }
    };
    let note = format!(
        "The annotation {RETRY_ANNOTATION} {why}. Write for example: kubectl annotate … {RETRY_ANNOTATION}=\"$(date -u +%FT%TZ)\" --overwrite"
    );
    let announcement = Announcement { warning: true, reason: "InvalidRetry", action: None, note };
    scope.context.events.publish(about(object, announcement));
}
