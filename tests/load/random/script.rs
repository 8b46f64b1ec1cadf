//! The events of a random run: acts, each with its time. A script contains everything that a seed decides.

use std::fmt;
use std::time::Duration;

use cde_sandbox::cde::{Connector, CutPoint, Fault};
use cde_sandbox::proxy::Point;
use uuid::Uuid;

use cde_harness::Kind;

/// Everything that one seed decides.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    /// How long the faults last.
    pub(crate) length: Duration,
    /// How many operators there are.
    pub(crate) operators: usize,
    pub(crate) connectors: Vec<Connector>,
    /// Objects that people create and change. One whose name occurs twice is created again.
    pub(crate) objects: Vec<Subject>,
    /// In order of time.
    pub(crate) acts: Vec<Timed>,
}

/// An act and its start, counted from the start of the run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Timed {
    pub(crate) at: Duration,
    pub(crate) act: Act,
}

/// The parts of an object that do not change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) connector: Uuid,
    pub(crate) version: &'static str,
}

/// An act of one of the actors.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    /// A person acts on the object of this number.
    People(usize, PersonAct),
    Cde(CdeAct),
    /// A fault between the operator of this number and the API server.
    ApiServer(usize, ApiAct),
    /// An act on the process of the operator of this number.
    Process(usize, ProcessAct),
}

/// What people do to objects.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PersonAct {
    Create {
        suspend: bool,
        deadline: Option<i64>,
        not_after: Option<i64>,
        preconditions: bool,
    },
    Suspend(bool),
    Retry,
    Delete,
    /// In seconds.
    Deadline(i64),
    /// In seconds from then.
    NotAfter(i64),
}

/// Faults of the CDE API.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CdeAct {
    Inject(Box<Fault>, Option<Uuid>),
    Down,
    Up,
    /// Another token is accepted, and the token file has it after a while.
    ReplaceToken {
        told_after: Duration,
    },
    /// What is under way in this connector ends.
    Settle(Uuid),
}

/// Faults of requests to the API server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ApiAct {
    /// The proxy answers status writes instead of the API server.
    Answer {
        status: u16,
        point: Point,
        times: usize,
    },
    /// Status writes, or all requests, get no reply.
    Cut {
        all: bool,
        point: Point,
        times: usize,
    },
    /// A status write, or a claim, is held, and then forwarded or cut.
    Hold {
        claim: bool,
        point: Point,
        length: Duration,
        cut: bool,
    },
    CutWatches,
    /// Watches are cut and have expired: 410, and everything is listed again.
    ExpireWatches,
    /// Watches are cut, and new ones are silent for a while.
    DeafWatches {
        length: Duration,
    },
    /// Nothing passes in either direction.
    Pause {
        length: Duration,
    },
}

/// Faults of an operator's process.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ProcessAct {
    /// SIGKILL, and another process after a while.
    Kill { restart: Duration, renamed: bool },
    /// SIGTERM, and another process after it has ended.
    Terminate { restart: Duration, renamed: bool },
    /// SIGSTOP and SIGCONT; with `at_claim`, at the moment when a claim is stored and its reply is not received.
    Freeze { length: Duration, at_claim: bool },
}

impl Script {
    /// Returns the acts on this object's name or connector, and those that affect all.
    pub(crate) fn about(&self, name: &str, connector: Uuid) -> impl Iterator<Item = &Timed> {
        self.acts.iter().filter(move |timed| match &timed.act {
            Act::People(object, _) => {
                let subject = &self.objects[*object];
                subject.name == name || subject.connector == connector
            }
            Act::Cde(CdeAct::Inject(_, id)) => id.is_none_or(|id| id == connector),
            Act::Cde(CdeAct::Settle(id)) => *id == connector,
            Act::Cde(_) | Act::Process(..) => true,
            Act::ApiServer(..) => false,
        })
    }
}

impl fmt::Display for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3}s ", self.at.as_secs_f64())?;
        match &self.act {
            Act::People(object, act) => write!(f, "people: object {object}: {act:?}"),
            Act::Cde(CdeAct::Inject(fault, id)) => {
                let fault = serde_json::to_string(fault).map_err(|_| fmt::Error)?;
                write!(f, "CDE: {} gets {fault}", id.map_or("any connector".to_owned(), |id| id.to_string()))
            }
            Act::Cde(act) => write!(f, "CDE: {act:?}"),
            Act::ApiServer(number, act) => write!(f, "API server of operator {number}: {act:?}"),
            Act::Process(number, act) => write!(f, "operator {number}: {act:?}"),
        }
    }
}

/// All points at which a connection can be cut.
pub(crate) const CUTS: [CutPoint; 3] =
    [CutPoint::BeforeHeaders, CutPoint::AfterHeaders, CutPoint::WithinBody];
