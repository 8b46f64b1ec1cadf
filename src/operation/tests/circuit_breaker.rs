//! The circuit breaker.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::fixtures::*;
use crate::cde::model::Failure;
use crate::operation::{BreakerState, CallResult, CircuitBreaker, Now};

struct Story {
    breaker: CircuitBreaker<&'static str>,
    second: i64,
    jitter: f64,
}

fn closed() -> Story {
    Story {
        breaker: CircuitBreaker::new(SERVER, (Duration::from_secs(1), Duration::from_mins(5))),
        second: 0,
        jitter: 1.0,
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
    /// A call fails or succeeds, while two connectors have open requests.
    fn called(mut self, uid: &str, connector: u128, failure: Option<&Failure>) -> Self {
        let call = CallResult {
            uid,
            connector: Uuid::from_u128(connector),
            failure,
            token_changed: false,
            open_connectors: 2,
            jitter: self.jitter,
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
    fn state(&self) -> BreakerState {
        self.breaker.state(seconds(self.second))
    }
    fn acquires(&mut self, uid: &str) -> bool {
        self.breaker.acquire(&Arc::from(uid), seconds(self.second))
    }
    /// Five calls in a row have failed.
    fn down(self) -> Self {
        (0..5).fold(self, |story, call| story.called("a", call % 2, Some(&status(503))))
    }
}

#[test]
fn a_429_pauses_all_calls_until_the_requested_time() {
    let mut story = closed().called("a", 1, Some(&asking(60, status(429)))).held("a", 0).held("b", 0);
    assert_eq!((story.state(), story.acquires("b")), (BreakerState::Paused, false));
    assert_eq!(story.breaker.resumes_in(seconds(0)), Some(seconds(60)));
    story = story.at(59);
    assert_eq!(story.woken(), Vec::<&str>::new());
    story = story.at(60);
    assert_eq!(story.woken(), ["a", "b"]);
    assert_eq!((story.state(), story.acquires("b")), (BreakerState::Closed, true));
}

#[test]
fn a_pause_ends_at_its_exact_end() {
    let story = closed().called("a", 1, Some(&asking(60, status(429)))).at(60);
    assert_eq!((story.state(), story.breaker.resumes_in(seconds(60))), (BreakerState::Closed, None));
}

#[test]
fn each_state_has_a_metric_label() {
    let labels = ["closed", "paused", "down", "token_rejected", "login_required"];
    assert_eq!(BreakerState::ALL.map(BreakerState::as_str), labels);
}

#[test]
fn without_a_login_no_call_is_allowed_and_the_waiting_are_woken_once_to_say_so() {
    let mut story = closed().held("a", 0).held("b", 1).down();
    story.breaker.login_required();
    assert_eq!((story.state(), story.acquires("a")), (BreakerState::LoginRequired, false));
    assert_eq!(story.breaker.resumes_in(seconds(0)), None, "only a login ends the wait");
    assert_eq!(story.woken(), ["a", "b"]);
    story = story.held("a", 0).held("b", 1).at(100_000);
    story.breaker.login_required();
    assert_eq!(story.woken(), Vec::<&str>::new(), "no probe is worth a call");
    assert!(!story.acquires("b"));
}

#[test]
fn a_login_ends_the_wait_for_one_and_a_rejection_of_the_token() {
    let mut story = closed().called("a", 1, Some(&status(401)));
    story.breaker.login_required();
    story.breaker.token_changed();
    story = story.held("a", 0).held("b", 0);
    assert_eq!((story.state(), story.acquires("b")), (BreakerState::Closed, true));
    assert_eq!(story.woken(), ["a", "b"]);
}

#[test]
fn failures_of_the_only_open_connector_trip_the_breaker() {
    let failure = status(503);
    let mut story = closed();
    for call in 1..=5 {
        assert_eq!(story.state(), BreakerState::Closed, "before call {call}");
        let call = CallResult {
            uid: "a",
            connector: Uuid::from_u128(1),
            failure: Some(&failure),
            token_changed: false,
            open_connectors: 1,
            jitter: 1.0,
        };
        story.breaker.report(&call, Now { monotonic: seconds(0), wall: at(0) });
    }
    assert_eq!(story.state(), BreakerState::Down);
}

#[test]
fn probes_come_at_growing_intervals_of_which_half_is_jitter() {
    for (jitter, second_wait) in [(1.0, 2000), (0.5, 1500), (0.0, 1000)] {
        for refusal in [401, 503] {
            let tripped =
                if refusal == 401 { closed().called("a", 1, Some(&status(401))) } else { closed().down() };
            assert_eq!(tripped.breaker.resumes_in(seconds(0)), Some(seconds(1)));
            let mut story = Story { jitter, ..tripped }.held("b", 0).at(1);
            assert_eq!((story.woken(), story.acquires("b")), (vec!["b"], true));
            let story = story.called("b", 1, Some(&status(refusal)));
            let next = story.breaker.resumes_in(seconds(1));
            assert_eq!(next, Some(Duration::from_millis(second_wait)), "{refusal} {jitter}");
        }
    }
}

#[test]
fn an_absurd_pause_ends_within_a_day() {
    let story = closed().called("a", 1, Some(&asking(10 * DAY, status(503))));
    assert_eq!(story.breaker.resumes_in(seconds(0)), Some(seconds(DAY)));
}

#[test]
fn five_failures_in_a_row_on_two_connectors_trip_the_breaker() {
    let one = (0..9).fold(closed(), |story, _| story.called("a", 1, Some(&no_answer())));
    assert_eq!(one.state(), BreakerState::Closed, "one connector alone may be the reason");
    let four = (0..4).fold(closed(), |story, call| story.called("a", call, Some(&status(502))));
    assert_eq!(four.state(), BreakerState::Closed);
    let interrupted = (0..4).fold(four.called("a", 1, Some(&status(500))), |story, call| {
        story.called("a", call, Some(&status(502)))
    });
    assert_eq!(interrupted.state(), BreakerState::Closed, "in a row");
    for answer in [None, Some(status(404)), Some(status(423))] {
        let story = closed().down();
        assert_eq!(story.state(), BreakerState::Down);
        assert_eq!(story.called("b", 1, answer.as_ref()).state(), BreakerState::Closed, "{answer:?}");
    }
}

#[test]
fn the_object_that_has_waited_longest_gets_the_only_probe() {
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
fn an_unused_probe_goes_to_the_next_object() {
    let mut story = closed().down().held("gone", 1).held("silent", 2).held("next", 3).at(1);
    assert_eq!(story.woken(), ["gone"]);
    assert!(story.breaker.return_probe("gone"));
    assert_eq!(story.woken(), ["silent"]);
    story = story.at(5);
    assert_eq!(story.woken(), Vec::<&str>::new());
    story = story.at(6);
    assert_eq!(story.woken(), ["next"]);
}

#[test]
fn a_deleted_object_is_not_offered_the_probe() {
    let mut story = closed().down().held("gone", 1).held("left", 2).at(1);
    story.breaker.remove("gone");
    assert_eq!(story.woken(), ["left"]);
}

#[test]
fn a_rejected_token_holds_all_calls_until_it_changes() {
    let mut story = closed().called("a", 1, Some(&status(401))).held("b", 0);
    assert_eq!((story.state(), story.acquires("b")), (BreakerState::TokenRejected, false));
    assert_eq!(closed().down().called("a", 1, Some(&status(401))).state(), BreakerState::TokenRejected);
    story.breaker.token_changed();
    assert_eq!((story.state(), story.woken()), (BreakerState::Closed, vec!["b"]));
    let mut down = closed().down();
    down.breaker.token_changed();
    assert_eq!(down.state(), BreakerState::Down);
}

#[test]
fn a_permit_from_before_a_pause_is_invalid() {
    let mut story = closed();
    assert!(story.acquires("a"));
    story = story.called("b", 1, Some(&asking(60, status(429))));
    assert!(!story.breaker.lets_through("a", seconds(0)));
}

#[test]
fn the_pause_is_restored_at_startup_from_an_open_request() {
    let restored = |story: &super::fixtures::Story<crate::api::MigrationRollback>| {
        let mut breaker = CircuitBreaker::<()>::new(SERVER, (Duration::from_secs(1), Duration::from_mins(5)));
        breaker.restore(story.status(), Now { monotonic: seconds(0), wall: at(10) });
        (breaker.state(seconds(0)), breaker.resumes_in(seconds(0)))
    };
    let paused = |left| (BreakerState::Paused, Some(seconds(left)));
    let nothing = (BreakerState::Closed, None);
    assert_eq!(restored(&rollback().claimed(0).failing(&asking(70, status(429)), 1)), paused(60));
    assert_eq!(restored(&rollback().claimed(0).failing(&asking(1000, status(503)), 1)), paused(990));
    assert_eq!(restored(&rollback().claimed(0).failing(&status(503), 1)), nothing, "a backoff is its own");
    assert_eq!(restored(&rollback().claimed(0).failing(&asking(70, status(423)), 1)), nothing);
    assert_eq!(restored(&rollback().claimed(0).failing(&asking(5, status(429)), 1)), nothing, "it is over");
    assert_eq!(restored(&rollback().claimed(0).failing(&asking(9 * DAY, status(429)), 1)), nothing);
    // A pause of a day is accepted. A 503 whose wait is no longer than a backoff may not have paused all calls.
    assert_eq!(restored(&rollback().claimed(0).failing(&asking(DAY + 1, status(429)), 1)), paused(DAY - 9));
    for asked in [200, 301] {
        assert_eq!(restored(&rollback().claimed(0).failing(&asking(asked, status(503)), 1)), nothing);
    }
    assert_eq!(restored(&rollback().claimed(0).failing(&asking(302, status(503)), 1)), paused(292));
    assert_eq!(restored(&rollback().claimed(0).failed(401, 1)).0, BreakerState::TokenRejected);
    let mut elsewhere = rollback().claimed(0).failing(&asking(70, status(429)), 1);
    elsewhere.object.status.as_mut().unwrap().operation.as_mut().unwrap().server = Some("https://b".into());
    assert_eq!(restored(&elsewhere), nothing);
}

#[test]
fn the_newest_error_of_several_open_requests_sets_the_pause() {
    let limited = |asked, second| rollback().claimed(0).failing(&asking(asked, status(429)), second);
    for (stories, left) in [
        ([limited(70, 1), limited(40, 5)], 30),
        ([limited(40, 5), limited(70, 1)], 30),
        ([limited(70, 1), limited(40, 1)], 60),
    ] {
        let mut breaker = CircuitBreaker::<()>::new(SERVER, (Duration::from_secs(1), Duration::from_mins(5)));
        for story in &stories {
            breaker.restore(story.status(), Now { monotonic: seconds(0), wall: at(10) });
        }
        assert_eq!(breaker.resumes_in(seconds(0)), Some(seconds(left)));
    }
}

#[test]
fn the_confirmation_time_is_a_fifth_of_the_longest_backoff() {
    assert_eq!(rollback().settings.confirmation_time(), Duration::from_mins(1));
}
