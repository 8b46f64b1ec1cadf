//! One state of the model: the Secret, two processes, the authorization server, and what may still happen.

use crate::state::{Name, Who};

use super::properties::Breaches;
use super::server::Server;

/// The number of a grant. Its access token has that number, and its refresh token the same or, without rotation, an
/// earlier one.
pub(crate) type Number = u8;

/// A set of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Numbers(u16);

impl Numbers {
    pub(crate) fn insert(&mut self, number: Number) {
        self.0 |= 1 << number;
    }

    pub(crate) fn contains(self, number: Number) -> bool {
        self.0 & (1 << number) != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Number> {
        (0..16).filter(move |number| self.contains(*number))
    }
}

/// The tokens of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tokens {
    pub(crate) access: Number,
    pub(crate) refresh: Number,
}

/// The content of the Secret: the tokens, `None` after a logout, and the holder of the claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Secret {
    pub(crate) tokens: Option<Tokens>,
    pub(crate) claim: Option<Name>,
}

/// How far a refresh has come. The process may die between two phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// No refresh is under way.
    Idle,
    /// The claim is stored, and the refresh token was sent this often on it.
    Claimed { sends: u8 },
    /// The refresh token was sent this often, and the last request is under way.
    Sending { sends: u8 },
    /// New tokens have arrived, and are not known to be stored.
    Granted {
        ours: Tokens,
        /// A write of them got no clear reply.
        may_be_stored: bool,
    },
    /// The authorization server rejected the refresh token.
    Rejected,
    /// The claim is to be removed.
    Releasing,
    /// The process is gone for good.
    Dead,
}

/// One process of the operator.
#[allow(clippy::struct_excessive_bools, reason = "a state of the model is what is true in it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) name: Name,
    /// The Secret as this process knows it.
    pub(crate) view: Secret,
    /// A conditional patch of this process succeeds: the version that it is based on is the stored one.
    pub(crate) current: bool,
    /// The claim in the Secret is the one that this process saw last.
    pub(crate) same_claim: bool,
    /// The claim in `view` has been seen for a claim's length.
    pub(crate) ripe: bool,
    /// The time of the process's own claim is over.
    pub(crate) late: bool,
    /// The process stood still with its request under way until its claim was over, which is a documented limit.
    pub(crate) overslept: bool,
    pub(crate) phase: Phase,
    /// A refresh is due.
    pub(crate) due: bool,
    /// The access token in use.
    pub(crate) using: Option<Number>,
    /// The refresh tokens that the process has noted as spent.
    pub(crate) spent: Numbers,
    /// The refresh tokens that it can know to be spent, whatever it noted.
    pub(crate) knows: Numbers,
}

/// The state of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RefreshState {
    pub(crate) secret: Secret,
    /// The version before, while a process may still be shown it.
    pub(crate) previous: Option<Secret>,
    /// The access tokens that were ever stored.
    pub(crate) stored: Numbers,
    /// A write that is still on its way after its sender has given up waiting.
    pub(crate) delayed: Option<(Who, Secret)>,
    pub(crate) processes: [Process; 2],
    pub(crate) server: Server,
    /// Refresh tokens in abandoned requests that may still arrive.
    pub(crate) under_way: [Option<Number>; 2],
    /// Something happened after which a second use of a refresh token cannot be excluded.
    pub(crate) excused: bool,
    pub(crate) left: Bounds,
    pub(crate) breaches: Breaches,
}

impl RefreshState {
    pub(crate) fn process(&self, who: Who) -> &Process {
        &self.processes[who as usize]
    }

    pub(crate) fn process_mut(&mut self, who: Who) -> &mut Process {
        &mut self.processes[who as usize]
    }
}

impl Process {
    /// Returns the refresh token that this process has claimed.
    pub(crate) fn sent(&self) -> Option<Number> {
        Some(self.view.tokens?.refresh)
    }

    /// Returns whether it has a claim on which a request goes out, or new tokens.
    pub(crate) fn is_in_the_middle(&self) -> bool {
        matches!(self.phase, Phase::Claimed { .. } | Phase::Sending { .. } | Phase::Granted { .. })
    }
}

/// How much may still happen. The bounds of the model are its first value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bounds {
    /// A refresh becomes due although the access token is good.
    pub(crate) dues: u8,
    /// A process dies and starts again under another name.
    pub(crate) crashes: u8,
    /// A process is shown the previous version of the Secret.
    pub(crate) outdated: u8,
    /// A patch gets no clear reply: it is stored, lost or late.
    pub(crate) lost_writes: u8,
    /// A request to the authorization server gets another answer than the usual one.
    pub(crate) faults: u8,
    /// A process stands still, or cannot reach the API server, until its claim is over.
    pub(crate) delays: u8,
    /// A person logs in.
    pub(crate) logins: u8,
    /// A person logs out.
    pub(crate) logouts: u8,
    /// Git or a backup puts an old login back.
    pub(crate) put_back: u8,
    /// Somebody changes a label of the Secret.
    pub(crate) labels: u8,
}

impl Bounds {
    pub(crate) const NO_FAULTS: Self = Self {
        dues: 1,
        crashes: 0,
        outdated: 0,
        lost_writes: 0,
        faults: 0,
        delays: 0,
        logins: 0,
        logouts: 0,
        put_back: 0,
        labels: 0,
    };
    pub(crate) const NOTHING: Self = Self { dues: 0, ..Self::NO_FAULTS };
}
