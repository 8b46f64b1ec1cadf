//! What this process remembers about one object besides the object: nothing in here has to survive a restart.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};

use crate::api::{InFlight, RETRY_ANNOTATION};

use super::kind::Kind;

/// What this process remembers about one object.
pub(super) struct Memory {
    /// What a person last asked for; a change of anything else is this operator's own writing.
    asked: Option<Asked>,
    /// The claim or the wait that is stored, as a hash, and when this process first saw it.
    sighting: (u64, Moment),
    /// The last claim of this process, while it knows that it sent nothing on it.
    pub(super) unsent: Option<InFlight>,
    /// The record of a call is being written in the background.
    pub(super) recording: bool,
    refusals: Option<Refusals>,
    /// The request, by `operation.id`, whose first wait was announced.
    announced: Option<String>,
    /// The invalid retry annotation that a warning was about.
    warned: Option<String>,
    /// It belongs to another operator, which is logged once.
    pub(super) foreign: bool,
    /// It cannot be decoded, which is logged once.
    pub(super) undecodable: bool,
    /// When the last reconciliation began, for traces.
    pub(super) begun: SystemTime,
    /// Reconciliations in a row that were interrupted.
    pub(super) interruptions: u32,
}

/// Generation, retry annotation, and whether the object is being deleted.
type Asked = (Option<i64>, Option<String>, bool);

/// Undocumented refusals in a row with one code.
struct Refusals {
    code: u16,
    count: u32,
    first: Instant,
}

/// So many undocumented refusals in a row confirm each other.
const CONFIRMING: u32 = 3;

impl Default for Memory {
    fn default() -> Self {
        Self {
            asked: None,
            sighting: (0, Moment::now()),
            unsent: None,
            recording: false,
            refusals: None,
            announced: None,
            warned: None,
            foreign: false,
            undecodable: false,
            begun: SystemTime::now(),
            interruptions: 0,
        }
    }
}

impl Memory {
    /// Notes a version of the object that is newer than the last one.
    pub(super) fn see<K: Kind>(&mut self, object: &K) {
        let present = claim_or_wait(object);
        if self.sighting.0 != present {
            self.sighting = (present, Moment::now());
        }
    }

    /// Whether a person asks for something new; true for an object that was never seen.
    pub(super) fn asks_anew<K: Kind>(&mut self, object: &K) -> bool {
        let meta = object.meta();
        let retry = meta.annotations.as_ref().and_then(|all| all.get(RETRY_ANNOTATION).cloned());
        let asked = Some((meta.generation, retry, meta.deletion_timestamp.is_some()));
        std::mem::replace(&mut self.asked, asked.clone()) != asked
    }

    /// For how long this process has seen the stored claim or wait, and how far the wall clock was set since.
    pub(super) fn seen_for(&self) -> (Duration, SignedDuration) {
        self.sighting.1.past()
    }

    /// Notes the result of a call: the code of an undocumented refusal, or `None` for any other response. Returns
    /// whether earlier refusals confirm this one: three in a row with one code, the first at least `time` ago.
    pub(super) fn refusal_confirmed(&mut self, code: Option<u16>, time: Duration) -> bool {
        let Some(code) = code else {
            self.refusals = None;
            return false;
        };
        let refusals = self
            .refusals
            .take()
            .filter(|refusals| refusals.code == code)
            .unwrap_or_else(|| Refusals { code, count: 0, first: Instant::now() });
        let refusals = self.refusals.insert(Refusals { count: refusals.count.saturating_add(1), ..refusals });
        refusals.count >= CONFIRMING && refusals.first.elapsed() >= time
    }

    /// True the first time for each request, by its `operation.id`: for the Event of its first wait. The status alone
    /// cannot tell one that waited and was claimed within the same second, because its times have whole seconds.
    pub(super) fn first_wait(&mut self, request: &str) -> bool {
        self.announced.replace(request.to_owned()).as_deref() != Some(request)
    }

    /// True the first time for each value: for a warning about it.
    pub(super) fn first_warning(&mut self, value: &str) -> bool {
        self.warned.replace(value.to_owned()).as_deref() != Some(value)
    }
}

/// The stored claim or wait, as a hash: while it stays the same its time runs.
fn claim_or_wait<K: Kind>(object: &K) -> u64 {
    let operation = object.status().and_then(|status| status.operation.as_ref());
    let mut hasher = DefaultHasher::new();
    operation
        .map(|it| (&it.id, it.attempts, it.retries, it.in_flight.as_ref().map(|claim| &claim.holder)))
        .hash(&mut hasher);
    hasher.finish()
}

/// A moment by both clocks.
#[derive(Clone, Copy)]
struct Moment {
    wall: Timestamp,
    monotonic: Instant,
}

impl Moment {
    fn now() -> Self {
        Self { wall: Timestamp::now(), monotonic: Instant::now() }
    }

    /// How long ago it was, and how far the wall clock was set meanwhile. The clocks are read in such an order that
    /// time which passes in between makes a wait longer, not shorter.
    fn past(self) -> (Duration, SignedDuration) {
        let length = self.monotonic.elapsed();
        let by_wall = Timestamp::now().duration_since(self.wall);
        (length, by_wall.saturating_sub(SignedDuration::try_from(length).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_refusals_in_a_row_with_one_code_confirm_each_other_after_the_time() {
        let mut memory = Memory::default();
        let mut refused = |code, time| memory.refusal_confirmed(code, time);
        assert_eq!([404, 404, 404].map(|code| refused(Some(code), Duration::ZERO)), [false, false, true]);
        assert!(!refused(Some(403), Duration::ZERO), "another code");
        assert!(!refused(None, Duration::ZERO));
        assert_eq!([403; 3].map(|code| refused(Some(code), Duration::MAX)), [false; 3], "too soon");
    }

    #[test]
    fn a_request_waits_for_the_first_time_once_and_a_reopened_one_once_more() {
        let mut memory = Memory::default();
        assert_eq!(["a", "a", "b", "b"].map(|id| memory.first_wait(id)), [true, false, true, false]);
    }
}
