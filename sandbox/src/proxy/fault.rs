//! What happens to the requests that match a rule: held, cut, delayed, or answered by the proxy.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::watch;

use super::rule::{Call, Rule};

const SEEN_LIMIT: Duration = Duration::from_secs(30);

/// The point on the way of a request at which something happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The server has not received the request.
    BeforeForward,
    /// The server has carried out the request, and the client has no response yet.
    BeforeReply,
}

/// A response in place of the server's.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn new(status: u16, headers: &[(&str, &str)], body: impl Into<String>) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { status, headers, body: body.into() }
    }
}

/// What to do with a request at a point.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    Pass,
    Cut,
    Answer(Answer),
}

/// Requests that wait in the proxy, even if their clients have gone, until this value decides. The decision holds for
/// all requests that the rule matches, later ones too. Dropping the value without a decision releases them.
#[derive(Debug)]
pub struct Held {
    what: String,
    arrived: watch::Receiver<Option<Call>>,
    verdict: watch::Sender<Option<Verdict>>,
}

impl Held {
    /// Waits until a request has reached the point, for 30 seconds at most, and returns the last one that has.
    ///
    /// # Errors
    /// If none came. The error names the awaited request.
    pub async fn seen(&self) -> Result<Call> {
        let mut arrived = self.arrived.clone();
        let waiting = tokio::time::timeout(SEEN_LIMIT, arrived.wait_for(Option::is_some)).await;
        let missing =
            || format!("the proxy has seen no request to hold ({}) within {SEEN_LIMIT:?}", self.what);
        waiting.with_context(missing)?.with_context(missing)?.clone().with_context(missing)
    }

    /// Forwards the requests as if nothing had happened, even if their clients have gone.
    pub fn release(self) {
        self.decide(Verdict::Pass);
    }

    /// Closes their connections without a response.
    pub fn cut(self) {
        self.decide(Verdict::Cut);
    }

    /// Answers them in place of the server.
    pub fn answer(self, status: u16, body: impl Into<String>) {
        self.decide(Verdict::Answer(Answer::new(status, &[], body)));
    }

    fn decide(self, verdict: Verdict) {
        self.verdict.send_replace(Some(verdict));
    }
}

#[derive(Debug, Clone)]
enum Fault {
    Now(Verdict),
    Delay(Duration),
    Hold { arrived: watch::Sender<Option<Call>>, verdict: watch::Receiver<Option<Verdict>> },
}

/// The active rules, in the order in which they were set. The first one that matches a request applies.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<(Rule, Point, Fault)>>);

impl Faults {
    pub(super) fn add(&self, rule: Rule, point: Point, verdict: Verdict) {
        self.push(rule, point, Fault::Now(verdict));
    }

    pub(super) fn delay(&self, rule: Rule, point: Point, delay: Duration) {
        self.push(rule, point, Fault::Delay(delay));
    }

    pub(super) fn hold(&self, rule: Rule, point: Point) -> Held {
        let what = format!("{rule}, {point:?}");
        let (arrived_sender, arrived) = watch::channel(None);
        let (verdict, verdict_receiver) = watch::channel(None);
        self.push(rule, point, Fault::Hold { arrived: arrived_sender, verdict: verdict_receiver });
        Held { what, arrived, verdict }
    }

    /// Returns what to do with `call` at `point`. Waits where the call is held or delayed.
    pub(super) async fn verdict(&self, call: &Call, point: Point) -> Verdict {
        let mut waiting = match self.find(call, point) {
            None => return Verdict::Pass,
            Some(Fault::Now(verdict)) => return verdict,
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                return Verdict::Pass;
            }
            Some(Fault::Hold { arrived, verdict }) => {
                arrived.send_replace(Some(call.clone()));
                verdict
            }
        };
        let decided = waiting.wait_for(Option::is_some).await;
        decided.ok().and_then(|verdict| verdict.clone()).unwrap_or(Verdict::Pass)
    }

    fn find(&self, call: &Call, point: Point) -> Option<Fault> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at_point = faults.iter_mut().filter(|(_, at, _)| *at == point);
        at_point.find_map(|(rule, _, fault)| rule.take(call).then(|| fault.clone()))
    }

    fn push(&self, rule: Rule, point: Point, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((rule, point, fault));
    }
}
