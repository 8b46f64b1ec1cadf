//! What a person has to do about a request.

use cde_operator::api::{Outcome, Reason};

use super::Request;

/// The groups, in the order in which a person looks at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// It goes on only if a person does something.
    Person,
    /// It waits, and its message says for what.
    Waiting,
    /// A call is under way, or the operator finds out whether one had its effect.
    UnderWay,
    /// There is nothing left to do.
    Done,
}

impl Group {
    /// All groups.
    pub(crate) const ALL: [Self; 4] = [Self::Person, Self::Waiting, Self::UnderWay, Self::Done];

    /// Returns the group of a request.
    pub(crate) fn of(request: &Request) -> Self {
        let Some(reason) = request.status.reason else { return Self::Waiting };
        match (reason, reason.outcome()) {
            // A person has just done something about it.
            (_, Some(Outcome::Failed | Outcome::Unknown)) if request.is_reopening() => Self::Waiting,
            (Reason::ConfirmedFailed, _) | (_, Some(Outcome::Succeeded | Outcome::Skipped)) => Self::Done,
            (Reason::LoginRequired | Reason::TokenRejected, _)
            | (_, Some(Outcome::Failed | Outcome::Unknown)) => Self::Person,
            (Reason::InProgress | Reason::Verifying, _) => Self::UnderWay,
            (_, None) => Self::Waiting,
        }
    }

    /// Returns the words after a count.
    const fn words(self, count: usize) -> &'static str {
        match self {
            Self::Person if count == 1 => "needs a person",
            Self::Person => "need a person",
            Self::Waiting => "waiting",
            Self::UnderWay => "under way",
            Self::Done => "done",
        }
    }

    /// Returns the title in a table.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Person => "NEEDS A PERSON",
            Self::Waiting => "WAITING",
            Self::UnderWay => "UNDER WAY",
            Self::Done => "DONE",
        }
    }
}

/// Returns the number of requests in each group, as a sentence: "3 requests: 1 needs a person, 2 done".
pub(crate) fn summary<'a>(requests: impl IntoIterator<Item = &'a Request>) -> String {
    let groups: Vec<Group> = requests.into_iter().map(Group::of).collect();
    let count = |group: Group| groups.iter().filter(|one| **one == group).count();
    let parts = Group::ALL.into_iter().filter(|group| count(*group) > 0);
    let parts: Vec<String> =
        parts.map(|group| format!("{} {}", count(group), group.words(count(group)))).collect();
    let total = groups.len();
    let noun = if total == 1 { "request" } else { "requests" };
    if parts.is_empty() { format!("{total} {noun}") } else { format!("{total} {noun}: {}", parts.join(", ")) }
}
