//! The circuit breaker, as a table of calls and times.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::fixtures::*;
use crate::cde::model::Failure;
use crate::operation::{CallResult, CallState, CircuitBreaker, Now};

struct Story {
    breaker: CircuitBreaker<&'static str>,
    second: i64,
}

fn closed() -> Story {
    Story {
        breaker: CircuitBreaker::new(SERVER, (Duration::from_secs(1), Duration::from_mins(5))),
        second: 0,
    }
}

fn seconds(second: i64) -> Duration {
    Duration::from_secs(second.try_into().unwrap())
}

impl Story {
    fn at(mut self, second: i64) -> Self {
        self.second = second;
        self
    }
    /// A call for this object about this connector fails, or succeeds, where two connectors are open.
    fn called(mut self, uid: &str, connector: u128, failure: Option<&Failure>) -> Self {
        let call = CallResult {
            uid,
            connector: Uuid::from_u128(connector),
            failure,
            token_changed: false,
            open_connectors: 2,
            jitter: 1.0,
        };
        self.breaker.report(&call, Now { monotonic: seconds(self.second), wall: at(self.second) });
        self
    }
    fn held(mut self, uid: &'static str, last_call: i64) -> Self {
        self.breaker.hold(uid.into(), at(last_call), uid);
        self
    }
    fn woken(&mut self) -> Vec<&'static str> {
        let mut woken = self.breaker.next_wakeup(seconds(self.second)).0;
        woken.sort_unstable();
        woken
    }
    fn state(&self) -> CallState {
        self.breaker.state(seconds(self.second))
    }
    fn acquires(&mut self, uid: &str) -> bool {
        self.breaker.acquire(&Arc::from(uid), seconds(self.second))
    }
    /// Five calls in a row found the API down.
    fn down(self) -> Self {
        (0..5).fold(self, |story, call| story.called("a", call % 2, Some(&status(503))))
    }
}

#[test]
fn a_limit_pauses_all_until_the_time_that_was_asked_for() {
    let mut story = closed().called("a", 1, Some(&asking(60, status(429)))).held("a", 0).held("b", 0);
    assert_eq!((story.state(), story.acquires("b")), (CallState::Paused, false));
    assert_eq!(story.breaker.resumes_in(seconds(0)), Some(seconds(60)));
    story = story.at(59);
    assert_eq!(story.woken(), Vec::<&str>::new());
    story = story.at(60);
    assert_eq!(story.woken(), ["a", "b"]);
    assert_eq!((story.state(), story.acquires("b")), (CallState::Open, true));
}

#[test]
fn an_absurd_pause_ends_within_a_day() {
    let story = closed().called("a", 1, Some(&asking(10 * DAY, status(503))));
    assert_eq!(story.breaker.resumes_in(seconds(0)), Some(seconds(DAY)));
}

#[test]
fn five_failures_in_a_row_on_two_connectors_trip_it_and_any_other_response_closes_it() {
    let one = (0..9).fold(closed(), |story, _| story.called("a", 1, Some(&no_answer())));
    assert_eq!(one.state(), CallState::Open, "one connector alone may be the reason");
    let four = (0..4).fold(closed(), |story, call| story.called("a", call, Some(&status(502))));
    assert_eq!(four.state(), CallState::Open);
    let interrupted = (0..4).fold(four.called("a", 1, Some(&status(500))), |story, call| {
        story.called("a", call, Some(&status(502)))
    });
    assert_eq!(interrupted.state(), CallState::Open, "in a row");
    for answer in [None, Some(status(404)), Some(status(423))] {
        let story = closed().down();
        assert_eq!(story.state(), CallState::Down);
        assert_eq!(story.called("b", 1, answer.as_ref()).state(), CallState::Open, "{answer:?}");
    }
}

#[test]
fn while_it_is_down_one_probe_at_a_time_goes_out_for_the_one_that_has_waited_longest() {
    let mut story = closed().down().held("young", 9).held("old", 3).held("older", 1);
    assert!(!story.acquires("older"), "not before its time");
    story = story.at(1);
    assert_eq!(story.woken(), ["older"]);
    assert_eq!(story.woken(), Vec::<&str>::new());
    assert_eq!((story.acquires("old"), story.acquires("older")), (false, true));
    story = story.called("older", 1, Some(&status(503)));
    assert_eq!(story.woken(), Vec::<&str>::new(), "the next one comes later");
    story = story.at(3);
    assert_eq!(story.woken(), ["old"]);
}

#[test]
fn a_probe_that_is_not_used_is_the_next_ones() {
    let mut story = closed().down().held("gone", 1).held("silent", 2).held("next", 3).at(1);
    assert_eq!(story.woken(), ["gone"]);
    assert!(story.breaker.give_back("gone"));
    assert_eq!(story.woken(), ["silent"]);
    story = story.at(5);
    assert_eq!(story.woken(), Vec::<&str>::new());
    story = story.at(6);
    assert_eq!(story.woken(), ["next"]);
}

#[test]
fn an_object_that_is_gone_is_offered_nothing() {
    let mut story = closed().down().held("gone", 1).held("left", 2).at(1);
    story.breaker.remove("gone");
    assert_eq!(story.woken(), ["left"]);
}

#[test]
fn a_refused_token_holds_all_until_it_changes() {
    let mut story = closed().called("a", 1, Some(&status(401))).held("b", 0);
    assert_eq!((story.state(), story.acquires("b")), (CallState::TokenRejected, false));
    assert_eq!(closed().down().called("a", 1, Some(&status(401))).state(), CallState::TokenRejected);
    story.breaker.token_changed();
    assert_eq!((story.state(), story.woken()), (CallState::Open, vec!["b"]));
    let mut down = closed().down();
    down.breaker.token_changed();
    assert_eq!(down.state(), CallState::Down);
}

#[test]
fn a_permit_from_before_the_pause_is_not_valid_any_more() {
    let mut story = closed();
    assert!(story.acquires("a"));
    story = story.called("b", 1, Some(&asking(60, status(429))));
    assert!(!story.breaker.lets_through("a", seconds(0)));
}

#[test]
fn a_start_restores_the_pause_from_what_an_open_request_says() {
    let restored = |story: &super::fixtures::Story<crate::api::MigrationRollback>| {
        let mut breaker = CircuitBreaker::<()>::new(SERVER, (Duration::from_secs(1), Duration::from_mins(5)));
        breaker.restore(story.status(), Now { monotonic: seconds(0), wall: at(10) });
        (breaker.state(seconds(0)), breaker.resumes_in(seconds(0)))
    };
    let paused = |left| (CallState::Paused, Some(seconds(left)));
    let nothing = (CallState::Open, None);
    assert_eq!(restored(&rollback().claimed(0).failing(&asking(70, status(429)), 1)), paused(60));
    assert_eq!(restored(&rollback().claimed(0).failing(&asking(1000, status(503)), 1)), paused(990));
    assert_eq!(restored(&rollback().claimed(0).failing(&status(503), 1)), nothing, "a backoff is its own");
    assert_eq!(restored(&rollback().claimed(0).failing(&asking(70, status(423)), 1)), nothing);
    assert_eq!(restored(&rollback().claimed(0).failing(&asking(5, status(429)), 1)), nothing, "it is over");
    assert_eq!(restored(&rollback().claimed(0).failing(&asking(9 * DAY, status(429)), 1)), nothing);
    assert_eq!(restored(&rollback().claimed(0).failed(401, 1)).0, CallState::TokenRejected);
    let mut elsewhere = rollback().claimed(0).failing(&asking(70, status(429)), 1);
    elsewhere.object.status.as_mut().unwrap().operation.as_mut().unwrap().server = Some("https://b".into());
    assert_eq!(restored(&elsewhere), nothing);
}
