//! What may happen in a random run: acts, each at a time. A script says all that a seed decides.

use std::fmt;
use std::time::Duration;

use cde_sandbox::cde::{Connector, CutPoint, Fault};
use cde_sandbox::proxy::Point;
use uuid::Uuid;

use cde_harness::Kind;

/// What one seed decides.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    /// How long faults go on.
    pub(crate) length: Duration,
    /// How many operators there are.
    pub(crate) operators: usize,
    pub(crate) connectors: Vec<Connector>,
    /// Objects that people make and change; one whose name comes twice is made anew.
    pub(crate) objects: Vec<Subject>,
    /// In the order of time.
    pub(crate) acts: Vec<Timed>,
}

/// An act and when it begins, counted from the begin of the run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Timed {
    pub(crate) at: Duration,
    pub(crate) act: Act,
}

/// An object, as far as it stays the same.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) connector: Uuid,
    pub(crate) version: &'static str,
}

/// Who does what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    /// A person, to the object of this number.
    People(usize, Deed),
    Cde(CdeAct),
    /// Between the operator of this number and the API server.
    ApiServer(usize, ApiAct),
    /// To the process of the operator of this number.
    Process(usize, ProcessAct),
}

/// What people do to objects.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
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

/// What befalls the CDE API.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CdeAct {
    Inject(Box<Fault>, Option<Uuid>),
    Down,
    Up,
    /// Another token is accepted, and the token file says so after a while.
    ReplaceToken {
        told_after: Duration,
    },
    /// What is under way in this connector ends.
    Settle(Uuid),
}

/// What befalls requests to the API server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ApiAct {
    /// Status writes are answered in its place.
    Answer {
        status: u16,
        point: Point,
        times: usize,
    },
    /// Status writes, or all requests, get no answer.
    Cut {
        all: bool,
        point: Point,
        times: usize,
    },
    /// A status write, or a claim, is held, and then goes on or is cut.
    Hold {
        claim: bool,
        point: Point,
        length: Duration,
        cut: bool,
    },
    CutWatches,
    /// Watches are cut, and their past is forgotten: 410, all is listed anew.
    ExpireWatches,
    /// Watches are cut, and new ones hear nothing for a while.
    DeafWatches {
        length: Duration,
    },
    /// Nothing passes in either direction.
    Pause {
        length: Duration,
    },
}

/// What befalls an operator's process.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ProcessAct {
    /// SIGKILL, and another one after a while.
    Kill { restart: Duration, renamed: bool },
    /// SIGTERM, and another one after it has ended.
    Terminate { restart: Duration, renamed: bool },
    /// SIGSTOP and SIGCONT; where `at_claim`, at the moment when a claim is stored and not heard of.
    Freeze { length: Duration, at_claim: bool },
}

impl Script {
    /// The acts that speak of this object's name or connector, and those that strike all.
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
            Act::People(object, deed) => write!(f, "people: object {object}: {deed:?}"),
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
