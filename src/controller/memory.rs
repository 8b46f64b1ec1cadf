//! What this process remembers about one object. Nothing here has to survive a restart.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::api::{ANNOTATIONS, InFlight};
use crate::runtime::clock;

use super::kind::Kind;

pub(super) struct Memory {
    /// The last input of users. All other changes are this operator's own writes.
    input: Option<Input>,
    /// The stored claim or wait, as a hash, and when this process first saw it.
    sighting: (u64, Moment),
    /// The last claim of this process, while nothing was sent on it.
    pub(super) unsent: Option<InFlight>,
    /// The record of a call is being written in the background.
    pub(super) recording: bool,
    /// Undocumented refusals in a row, by call.
    refusals: BTreeMap<&'static str, Refusals>,
    /// `operation.id` of the request whose first wait was announced.
    announced: Option<String>,
    /// The invalid annotations that had a warning, by name.
    warned: BTreeMap<&'static str, String>,
    /// Belongs to another operator, which is logged once.
    pub(super) foreign: bool,
    /// Cannot be decoded, which is logged once.
    pub(super) undecodable: bool,
    pub(super) interruptions: u32,
}

/// Generation, the annotations, and whether the object is being deleted.
type Input = (Option<i64>, [Option<String>; ANNOTATIONS.len()], bool);

/// Undocumented refusals in a row with one code.
struct Refusals {
    code: u16,
    count: u32,
    first: Instant,
}

/// Whether a response is an undocumented refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    None,
    /// A gateway may have responded.
    Unconfirmed {
        first: bool,
    },
    /// Three in a row with the same code, the first long enough ago.
    Confirmed,
}

/// Undocumented refusals in a row that confirm each other.
const CONFIRMING: u32 = 3;

impl Default for Memory {
    fn default() -> Self {
        Self {
            input: None,
            sighting: (0, Moment::now()),
            unsent: None,
            recording: false,
            refusals: BTreeMap::new(),
            announced: None,
            warned: BTreeMap::new(),
            foreign: false,
            undecodable: false,
            interruptions: 0,
        }
    }
}

impl Memory {
    pub(super) fn see<K: Kind>(&mut self, object: &K) {
        let present = claim_or_wait(object);
        if self.sighting.0 != present {
            self.sighting = (present, Moment::now());
        }
    }

    /// Notes the input of users; true if it has changed.
    pub(super) fn input_changed<K: Kind>(&mut self, object: &K) -> bool {
        let meta = object.meta();
        let annotation = |name| meta.annotations.as_ref().and_then(|all| all.get(name).cloned());
        let annotations = ANNOTATIONS.map(annotation);
        let input = Some((meta.generation, annotations, meta.deletion_timestamp.is_some()));
        std::mem::replace(&mut self.input, input.clone()) != input
    }

    /// Returns how long this process has seen the stored claim or wait, and how far the wall clock was set since.
    pub(super) fn seen_for(&self) -> (Duration, SignedDuration) {
        self.sighting.1.elapsed()
    }

    /// Notes the code of an undocumented refusal, or `None` for any other response. Each call has a row of its own, so a
    /// successful read between two changing calls does not end theirs.
    pub(super) fn note_refusal(&mut self, call: &'static str, code: Option<u16>, time: Duration) -> Refusal {
        let Some(code) = code else {
            self.refusals.remove(call);
            return Refusal::None;
        };
        let fresh = Refusals { code, count: 0, first: clock::monotonic() };
        let refusals = self.refusals.entry(call).or_insert(Refusals { ..fresh });
        if refusals.code != code {
            *refusals = fresh;
        }
        refusals.count = refusals.count.saturating_add(1);
        if refusals.count >= CONFIRMING && refusals.first.elapsed() >= time {
            Refusal::Confirmed
        } else {
            Refusal::Unconfirmed { first: refusals.count == 1 }
        }
    }

    /// True the first time for each `operation.id`: for the Event of its first wait. The status cannot tell, because its
    /// times have whole seconds.
    pub(super) fn first_wait(&mut self, request: &str) -> bool {
        self.announced.replace(request.to_owned()).as_deref() != Some(request)
    }

    /// True the first time for each value of an annotation: for the warning about it.
    pub(super) fn first_warning(&mut self, annotation: &'static str, value: &str) -> bool {
        self.warned.insert(annotation, value.to_owned()).as_deref() != Some(value)
    }
}

fn claim_or_wait<K: Kind>(object: &K) -> u64 {
    let operation = object.status().and_then(|status| status.operation.as_ref());
    let mut hasher = DefaultHasher::new();
    operation
        .map(|it| (&it.id, it.attempts, it.backoff_step, it.in_flight.as_ref().map(|claim| &claim.holder)))
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
        Self { wall: clock::now(), monotonic: clock::monotonic() }
    }

    /// Returns how long ago it was, and how far the wall clock was set since. The order in which the clocks are read can
    /// make a wait longer, but not shorter.
    fn elapsed(self) -> (Duration, SignedDuration) {
        let length = self.monotonic.elapsed();
        let by_wall = clock::now().duration_since(self.wall);
        (length, by_wall.saturating_sub(SignedDuration::try_from(length).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_refusals_in_a_row_with_one_code_confirm_each_other_in_time() {
        let mut memory = Memory::default();
        let mut refused = |code, time| memory.note_refusal("restore", code, time);
        let unconfirmed = |first| Refusal::Unconfirmed { first };
        let row = [404; 3].map(|code| refused(Some(code), Duration::ZERO));
        assert_eq!(row, [unconfirmed(true), unconfirmed(false), Refusal::Confirmed]);
        assert_eq!(refused(Some(403), Duration::ZERO), unconfirmed(true), "another code");
        assert_eq!(refused(None, Duration::ZERO), Refusal::None);
        let row = [403; 3].map(|code| refused(Some(code), Duration::MAX));
        assert_eq!(row, [unconfirmed(true), unconfirmed(false), unconfirmed(false)], "too soon");
    }

    #[test]
    fn a_read_between_two_calls_does_not_end_a_row_of_refusals() {
        let mut memory = Memory::default();
        let row = [(); 3].map(|()| {
            memory.note_refusal("read", None, Duration::ZERO);
            memory.note_refusal("rollback", Some(404), Duration::ZERO)
        });
        assert_eq!(row[2], Refusal::Confirmed);
    }

    #[test]
    fn each_request_has_one_first_wait() {
        let mut memory = Memory::default();
        assert_eq!(["a", "a", "b", "b"].map(|id| memory.first_wait(id)), [true, false, true, false]);
    }
}
