//! One state of the model: the object in the API server, two operators, the CDE, and what may still happen.

use crate::rules::StatusId;
use crate::subject::Stand;

/// An operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// The first operator.
    A,
    /// The second operator.
    B,
}

impl Who {
    pub(crate) const BOTH: [Self; 2] = [Self::A, Self::B];
}

/// The names under which the operators claim: which operator, and how often it drew another name at startup.
pub(crate) type Name = (Who, u8);

/// The number of a request of the object: 0 is its first one, and a person opens the others.
pub(crate) type Request = u8;

/// The major number of a version.
pub(crate) type Major = u8;

/// How many requests an object may have.
pub(crate) const REQUESTS: usize = 3;

/// The object: what people write, and the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Object {
    pub(crate) status: StatusId,
    pub(crate) generation: u8,
    pub(crate) suspended: bool,
    pub(crate) being_deleted: bool,
    /// The retry annotation: 0 for none, greater ones are later.
    pub(crate) retry: u8,
    /// The confirm annotation: the request that it names, and whether it says that the request succeeded.
    pub(crate) confirm: Option<(Request, bool)>,
}

/// The time of an object relative to its own `notAfter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Era {
    /// Before it.
    InTime,
    /// Past it.
    Expired,
    /// It was created long after its `notAfter`.
    Replayed,
}

/// The result of a read of the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reading {
    /// The connector.
    Seen(Stand),
    /// 403.
    Refused,
    /// 401.
    Unauthorized,
    /// 500.
    Failed,
}

/// The response to a changing call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    /// 200.
    Done,
    /// 200 with a body that cannot be read.
    Unreadable,
    /// 423.
    Locked,
    /// 400, a final refusal.
    OperationNotAllowed,
    /// 404.
    NotFound,
    /// 401.
    Unauthorized {
        /// A 401, and the token has been replaced since.
        replaced: bool,
    },
    /// 500.
    Broken {
        /// The call had its effect.
        effect: bool,
    },
    /// No response. Where there was no effect yet, it may still come.
    Silent {
        /// The call had its effect.
        effect: bool,
    },
}

/// How far a reconciliation of the object has come. The process may die between two phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// Nothing is under way.
    Idle,
    /// The connector was read, and nothing is decided yet.
    HasRead(Reading),
    /// The claim was sent, and no clear reply came.
    Unsure {
        /// The claim that was sent.
        claim: StatusId,
        /// The time of the claim is over.
        late: bool,
    },
    /// The claim is stored, and the call is not sent yet.
    Claimed {
        /// The time of the claim is over.
        late: bool,
    },
    /// The call is under way.
    Calling,
    /// The response has arrived, and its record is not written yet.
    Outcome {
        /// The status to record.
        status: StatusId,
        /// A read must confirm it, if a read is possible.
        unconfirmed: bool,
    },
    /// The record was written, and is not known to be stored.
    Rewriting {
        /// The status to record.
        status: StatusId,
        /// The object was read back, and the outcome is written again.
        fresh: bool,
    },
}

/// One process of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Operator {
    pub(crate) name: Name,
    /// The object as this process knows it; `None` once it knows that the object is deleted.
    pub(crate) view: Option<Object>,
    /// It is the stored version.
    pub(crate) current: bool,
    /// The claim or the wait that it sees has been seen for a claim's length.
    pub(crate) ripe: bool,
    pub(crate) phase: Phase,
    /// The last stored claim of this process, which a call must be based on.
    pub(crate) claimed: Option<(Request, u32)>,
    /// The last claim that this process sent, while it knows that it made no call on it.
    pub(crate) unsent: Option<StatusId>,
}

impl Operator {
    /// Returns whether it holds a claim whose call could still end in time, or an outcome.
    pub(crate) fn is_in_the_middle(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Idle
                | Phase::HasRead(_)
                | Phase::Calling
                | Phase::Unsure { late: true, .. }
                | Phase::Claimed { late: true }
        )
    }
}

/// The purpose of a write to the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Writing {
    /// A claim.
    Claim,
    /// The outcome of a call.
    Outcome,
    /// A wait.
    Note,
}

/// A write that is still on its way after its sender has given up waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Delayed {
    pub(crate) who: Who,
    pub(crate) status: StatusId,
    pub(crate) writing: Writing,
    /// It was sent longer ago than a claim takes.
    pub(crate) old: bool,
}

/// How much may still happen. The bounds of the model are its first value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bounds {
    /// A process dies and starts again, under the same name or another one.
    pub(crate) crashes: u8,
    /// A write to the API server gets no clear reply (stored, lost or late), or a 422.
    pub(crate) lost_writes: u8,
    /// A call or a read gets another response than the usual one.
    pub(crate) faults: u8,
    /// An operator finds that no call may go out at present.
    pub(crate) pauses: u8,
    /// A new process sees the previous version first.
    pub(crate) stale_lists: u8,
    /// A wall clock is set by an hour during a call.
    pub(crate) clock_steps: u8,
    /// A claim's time passes while a process holds a claim or an outcome, or a pause, or an order to stop, keeps the
    /// process from using its claim.
    pub(crate) delays: u8,
    /// A read finds the connector in transition.
    pub(crate) polls: u8,
    /// A person suspends, or resumes.
    pub(crate) suspensions: u8,
    /// A person requests a retry.
    pub(crate) retries: u8,
    /// A person confirms the outcome of a request, once it is unknown.
    pub(crate) confirmations: u8,
    /// The tool that applies Git puts an old retry annotation back.
    pub(crate) put_back: u8,
    /// A person deletes the object, with or without a finalizer.
    pub(crate) deletions: u8,
    /// Reading the connector becomes forbidden, or allowed.
    pub(crate) permissions: u8,
    /// `notAfter` passes.
    pub(crate) expiries: u8,
    /// Somebody else changes the connector.
    pub(crate) meddling: u8,
    /// The connector gets another main version.
    pub(crate) moves: u8,
}

impl Bounds {
    /// Nothing happens except the operation.
    pub(crate) const NO_FAULTS: Self = Self {
        crashes: 0,
        lost_writes: 0,
        faults: 0,
        pauses: 0,
        stale_lists: 0,
        clock_steps: 0,
        delays: 0,
        polls: 0,
        suspensions: 0,
        retries: 0,
        confirmations: 0,
        put_back: 0,
        deletions: 0,
        permissions: 0,
        expiries: 0,
        meddling: 0,
        moves: 0,
    };
}

/// The whole state.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ModelState {
    /// The object; `None` once it is deleted.
    pub(crate) object: Option<Object>,
    /// The previous version, as long as a process may still see it.
    pub(crate) previous: Option<Object>,
    pub(crate) operators: [Operator; 2],
    /// The stored version was written longer ago than a claim takes, so no new claim looks like it.
    pub(crate) old: bool,
    pub(crate) delayed: Option<Delayed>,
    pub(crate) connector: Stand,
    pub(crate) reading_refused: bool,
    /// Abandoned calls that may still have their effect.
    pub(crate) under_way: [Option<Request>; 2],
    /// Effects by request.
    pub(crate) effects: [u8; REQUESTS],
    /// The connector was seen unchanged since the last effect, because someone else reverted the effect.
    pub(crate) seen_unchanged: bool,
    /// Somebody else changed the connector.
    pub(crate) meddled: bool,
    /// The major number of the main version.
    pub(crate) main: Major,
    /// The version that was called first, by request.
    pub(crate) called: [Option<Major>; REQUESTS],
    pub(crate) era: Era,
    pub(crate) left: Bounds,
    pub(crate) breaches: crate::properties::Breaches,
}

impl ModelState {
    pub(crate) fn operator(&self, who: Who) -> &Operator {
        &self.operators[who as usize]
    }

    /// Drops the previous version if no process may see it any more.
    pub(crate) fn forget_the_past(&mut self) {
        if self.left.crashes == 0 || self.left.stale_lists == 0 {
            self.previous = None;
        }
    }

    pub(crate) fn operator_mut(&mut self, who: Who) -> &mut Operator {
        &mut self.operators[who as usize]
    }
}
