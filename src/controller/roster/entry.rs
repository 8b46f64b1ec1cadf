//! What the roster holds of an object: a few words.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::channel::mpsc::UnboundedSender;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{RETRY_ANNOTATION, Reason};
use crate::controller::Managed;
use crate::operation::Standing;

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// The kind, as in a manifest.
    pub kind: &'static str,
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl Key {
    /// The key of an object of the API server's; `None` for one that it never made.
    #[must_use]
    pub fn of<O: Managed>(meta: &ObjectMeta) -> Option<Self> {
        Some(Self {
            uid: meta.uid.as_deref()?.into(),
            kind: O::KIND,
            namespace: meta.namespace.as_deref()?.into(),
            name: meta.name.as_deref()?.into(),
        })
    }

    pub(super) fn show(&self) -> String {
        format!("{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Wakes objects of one watch.
pub(in crate::controller) type Waker = UnboundedSender<Key>;

/// What others, and the figures, must know of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) reason: Option<Reason>,
    pub(super) finished: bool,
    /// Suspended, being deleted, or another operator's: nobody waits for it.
    pub(super) aside: bool,
    /// A claim stands, or the effect of an attempt is open.
    pub(super) under_way: bool,
    pub(super) next_attempt: Option<Timestamp>,
    /// Since when the condition Ready stands as it does, in unix time; before the first status, the creation.
    pub(super) since: i64,
}

impl Facts {
    pub(super) fn of<O: Managed>(object: &O, server: &str) -> Self {
        let status = object.status();
        let operation = status.and_then(|status| status.operation.as_ref());
        let elsewhere = operation.and_then(|o| o.server.as_deref()).is_some_and(|its| its != server);
        let reason = status.and_then(|status| status.reason);
        let suspend = object.wish().suspend;
        // It says so only when its last attempt was seen to have had no effect.
        let sleeps = suspend && reason == Some(Reason::Suspended);
        Self {
            reason,
            finished: status.is_some_and(|status| status.outcome.is_some()),
            aside: elsewhere || suspend || object.meta().deletion_timestamp.is_some(),
            under_way: !(elsewhere || sleeps)
                && operation.is_some_and(|operation| {
                    let open = operation.unknown_attempts > 0 || operation.refusal().is_some();
                    operation.in_flight.is_some() || open
                }),
            next_attempt: operation.and_then(|o| o.next_attempt_at.as_ref()).map(|time| time.0),
            since: status
                .and_then(|status| status.conditions.iter().find(|condition| condition.type_ == "Ready"))
                .map_or_else(|| created(object), |ready| ready.last_transition_time.0)
                .as_second(),
        }
    }
}

/// Whether there is anything to do for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Open,
    /// Finished for good by this process: kept only until the watch has caught up, so that what it tells of the
    /// time before is known to be old.
    Done,
    /// Deleted, or out of the watch's sight, while a pass had its turn: kept until that gives it back, for a call
    /// may be under way.
    Gone,
}

impl Life {
    /// After `self`, when the object has been seen again, by the watch or in a write of this process.
    pub(super) fn then(self, done: bool, watched: bool) -> Self {
        match self {
            Self::Gone if !watched => Self::Gone,
            _ if done => Self::Done,
            _ => Self::Open,
        }
    }
}

/// What a reconcile is worth: a change of anything else is the operator's own writing.
pub(super) type Wish = (Option<i64>, Option<String>, bool);

/// A claim or a wait, as a hash: while it stays the same its time runs.
pub(super) type Pause = u64;

/// A moment by both clocks.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    wall: Timestamp,
    monotonic: Instant,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { wall: Timestamp::now(), monotonic: Instant::now() }
    }

    /// For how long it has been, and how far the wall clock was set meanwhile. The clocks are read in such an order
    /// that time which passes in between makes a wait longer, not shorter.
    pub(super) fn past(self) -> (Duration, SignedDuration) {
        let length = self.monotonic.elapsed();
        let by_wall = Timestamp::now().duration_since(self.wall);
        (length, by_wall.saturating_sub(SignedDuration::try_from(length).unwrap_or_default()))
    }
}

pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) connector: Arc<str>,
    pub(super) rank: u8,
    pub(super) created: Timestamp,
    pub(super) version: u64,
    pub(super) facts: Facts,
    pub(super) life: Life,
    pub(super) wish: Wish,
    pub(super) pause: Option<Pause>,
    pub(super) since: Moment,
    pub(super) reserved: bool,
    pub(super) noticed: bool,
    /// Whose first wait was told: the [`fingerprint`] of an `operation.id`.
    pub(super) told: u32,
    pub(super) interruptions: u32,
    pub(super) warned: Option<String>,
    pub(super) watch: usize,
    pub(super) waker: Option<Waker>,
}

impl Entry {
    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        let waits = self
            .facts
            .next_attempt
            .is_some_and(|at| at.saturating_add(self.since.past().1).unwrap_or(at) > now);
        if self.reserved || (self.facts.under_way && !self.facts.finished) {
            Standing::UnderWay
        } else if self.facts.finished || self.facts.aside || waits {
            Standing::Aside
        } else {
            Standing::Ready
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            // Nobody listens any more only when the process stops.
            let _ = waker.unbounded_send(self.key.clone());
        }
    }
}

pub(in crate::controller) fn version(meta: &ObjectMeta) -> u64 {
    meta.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default()
}

pub(super) fn created<O: Managed>(object: &O) -> Timestamp {
    object.meta().creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

pub(super) fn wish<O: Managed>(object: &O) -> Wish {
    let meta = object.meta();
    let retry = meta.annotations.as_ref().and_then(|all| all.get(RETRY_ANNOTATION).cloned());
    (meta.generation, retry, meta.deletion_timestamp.is_some())
}

pub(super) fn pause<O: Managed>(object: &O) -> Option<Pause> {
    let operation = object.status()?.operation.as_ref()?;
    let holder = operation.in_flight.as_ref().map(|claim| claim.holder.as_str());
    let mut hasher = DefaultHasher::new();
    (&operation.id, operation.attempts, operation.retries, holder).hash(&mut hasher);
    Some(hasher.finish())
}

/// A word for a text: four bytes an object, where the text itself would be forty.
pub(super) fn fingerprint(text: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
