//! Judges what a run left. A request is an `operation.id`, which is the `Idempotency-Key` of its calls.
//!
//! 1. **`claimed`** Each changing call belongs to a claim that was stored: the same request and attempt, of an object
//!    for this connector. One claim is one call. The call arrives before the claim ends, except where its process was
//!    frozen in between (the contract's stated limit), and not already when the claim's answer came: that it notices.
//! 2. **`once`** After a call of a request there is no other of the same request, unless
//!    - the first was refused by an answer that says that it had no effect (4xx but 408 and 409); or
//!    - in between a read for this request, answered as the connector was, showed what an earlier one showed (rollback;
//!      so a connector whose effects cannot be seen, or that other requests roll to and fro, is judged by what could
//!      be seen), or that it is not live, or reading was refused with 403 or 404 (restore); or
//!    - the first was carried out only when its claim had ended (a server too slow for any wait), or the other came out
//!      of a frozen process after its claim's end.
//! 3. **`effects`** So a request has one effect at most, with the same exceptions.
//! 4. **`limits`** No claim is stored while the object is suspended, past its `notAfter`, or past its deadline.
//! 5. **`ends`** Each object that exists has ended, or is suspended. Whatever was stored of it looks as the contract
//!    wants it for its reason.
//! 6. **`truth`** `Succeeded` by `Response`: a call of this request had its effect, and its status line said 200. By
//!    `ObservedChange`: a read after an effect on this connector shows something else than an earlier read. By
//!    `ObservedLive`: a read when the connector was live. `Failed`: no call of this request had an effect, exceptions
//!    as in 2. `Skipped`: no call at all.
//! 7. **`finality`** What has succeeded or was skipped does not change any more. What failed or is unknown is open
//!    again only with another `operation.id` and a later `lastHandledRetry`. Attempts never go down in a request.
//! 8. **`thrift`** A status is stored at most twice for each claim (claim, outcome), once for each wait, three times for
//!    each change of a person's, once for each that is stored of others for the connector (their turns) and for each
//!    process (who begins to be held by an outage of its own), and 4 times else. It is sent at most as often by each
//!    operator, and 20 times more, for faults refuse some. The connector is read at most once for each status that was
//!    sent, each change and each process (an open effect is looked at anew), and 12 times more. Claims and waits
//!    together are at most two a second, and 8 more. A process passes over objects at most 4 times for each version of
//!    any object.
//! 9. **`rate`** In no five seconds the CDE API got more calls than the rates of all operators allow, a fifth and one
//!    burst for each start added.
//! 10. **`secrets`** No token shows in anything shown.
//! 11. **`processes`** No process panicked, ended by itself, or did not end well when it was told to.

mod calls;
mod costs;
mod ends;
mod tests;

use crate::random::evidence::{Evidence, History};
use calls::{claimed, effects, once};
use cde_harness::Object;
pub(crate) use costs::costs;
use costs::{processes, rate, secrets, thrift};
use ends::{ends, finality, limits, truth};

/// Something that must not be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    /// The uid of the object that it is about.
    pub(crate) object: Option<String>,
    pub(crate) what: String,
}

type Rule = fn(&Evidence) -> Vec<Violation>;

const RULES: [Rule; 11] =
    [claimed, once, effects, limits, ends, truth, finality, thrift, rate, secrets, processes];

/// All that is wrong.
pub(crate) fn judge(evidence: &Evidence) -> Vec<Violation> {
    RULES.into_iter().flat_map(|rule| rule(evidence)).collect()
}

fn about(rule: &'static str, history: &History, what: String) -> Violation {
    Violation { rule, object: Some(history.uid.clone()), what }
}

/// The requests of an object, one after the other.
fn requests(history: &History) -> Vec<&str> {
    let mut requests: Vec<&str> = history.versions.iter().map(Object::request_id).collect();
    requests.dedup();
    requests.retain(|request| !request.is_empty());
    requests
}
