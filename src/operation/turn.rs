//! Which of several requests for one connector goes first.

use jiff::Timestamp;

/// Where a request stands, as far as others for the same connector must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It has claimed, or the effect of an attempt is open: nobody else goes.
    UnderWay,
    /// It may go when its turn comes.
    Ready,
    /// Not waited for: finished, suspended, being deleted, or waiting after an attempt without effect.
    Aside,
}

/// A request for a connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contender<'a> {
    /// `metadata.uid`.
    pub uid: &'a str,
    /// A restore (0) goes before a rollback (1).
    pub rank: u8,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// Where it stands.
    pub standing: Standing,
}

/// The one that goes first: one that is under way; else a restore before a rollback, then the oldest, then the
/// smallest uid.
#[must_use]
pub fn first<'a>(contenders: impl IntoIterator<Item = Contender<'a>>) -> Option<Contender<'a>> {
    contenders
        .into_iter()
        .filter(|contender| contender.standing != Standing::Aside)
        .min_by_key(|contender| (contender.standing, contender.rank, contender.created, contender.uid))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may end at what they did not expect")]
mod tests {
    use super::*;

    fn contender(uid: &str, rank: u8, second: i64, standing: Standing) -> Contender<'_> {
        Contender { uid, rank, created: Timestamp::from_second(second).unwrap(), standing }
    }

    fn winner<const N: usize>(contenders: [Contender<'_>; N]) -> Option<&str> {
        first(contenders).map(|contender| contender.uid)
    }

    #[test]
    fn a_restore_goes_before_an_older_rollback() {
        use Standing::Ready;
        assert_eq!(winner([contender("a", 1, 1, Ready), contender("b", 0, 2, Ready)]), Some("b"));
    }

    #[test]
    fn of_one_kind_the_oldest_goes_first_and_of_one_age_the_smallest_uid() {
        use Standing::Ready;
        assert_eq!(winner([contender("a", 1, 2, Ready), contender("b", 1, 1, Ready)]), Some("b"));
        assert_eq!(winner([contender("b", 1, 1, Ready), contender("a", 1, 1, Ready)]), Some("a"));
    }

    #[test]
    fn one_that_is_under_way_is_not_overtaken() {
        let under_way = contender("b", 1, 9, Standing::UnderWay);
        assert_eq!(winner([contender("a", 0, 1, Standing::Ready), under_way]), Some("b"));
    }

    #[test]
    fn nobody_waits_for_one_that_stands_aside() {
        let aside = contender("a", 0, 1, Standing::Aside);
        assert_eq!(winner([aside.clone(), contender("b", 1, 2, Standing::Ready)]), Some("b"));
        assert_eq!(winner([aside]), None);
    }
}
