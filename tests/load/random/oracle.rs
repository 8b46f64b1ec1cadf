//! Judges the evidence of a run. A request is identified by its `operation.id`, which is the `Idempotency-Key` of its
//! calls.
//!
//! 1. **`claimed`** Each changing call belongs to a stored claim: the same request and attempt, of an object for this
//!    connector. One claim allows one call. The call arrives before the claim ends, unless its process was frozen in
//!    between (the documented limit) and did not yet have the reply to its claim, because otherwise it would notice.
//! 2. **`once`** After a call of a request there is no other call of the same request, unless
//!    - the response to the first call says that it had no effect (4xx except 408 and 409); or
//!    - a read for this request in between, answered correctly, showed the same as an earlier one (rollback; so
//!      connectors whose effects are invisible, or that several requests change back and forth, are judged by what
//!      was visible), or it showed that the connector is not live, or it was refused with 403 or 404 (restore); or
//!    - the first call was carried out only after its claim had ended (a server too slow for any wait), or the other
//!      call came out of a frozen process after the end of its claim.
//! 3. **`effects`** So a request has at most one effect, with the same exceptions.
//! 4. **`limits`** No claim is stored while the object is suspended, past its `notAfter`, or past its deadline.
//! 5. **`ends`** Each object that exists has ended or is suspended. Every stored status follows the contract for its
//!    reason.
//! 6. **`truth`** `Succeeded` by `Response`: a call of this request had its effect, and its status line said 200. By
//!    `ObservedChange`: a read after an effect on this connector differs from an earlier read. By `ObservedLive`: a
//!    read while the connector was live. `Failed`: no call of this request had an effect, with the exceptions of
//!    rule 2. `Skipped`: there was no call at all.
//! 7. **`finality`** A succeeded or skipped request does not change any more. A failed or unknown one is opened again
//!    only with another `operation.id` and a later `lastHandledRetry`. Attempts never go down within a request.
//! 8. **`thrift`** A status is stored at most twice per claim (claim and outcome), once per wait, three times per
//!    change by a person, once per status of other requests for the connector (their order in the queue), once per
//!    process (which may find an outage of its own), and 4 more times. It is sent at most as often by each operator,
//!    and 20 more times, because faults reject some writes. The connector is read at most once per sent status, per
//!    change and per process (an unknown effect is verified again), and 12 more times. Claims and waits together are
//!    at most two per second, and 8 more. A process reconciles at most 4 times per version of any object.
//! 9. **`rate`** In any five seconds, the CDE API gets at most as many calls as the rates of all operators allow, plus
//!    a fifth, plus one burst per start.
//! 10. **`secrets`** No output shows a token.
//! 11. **`processes`** No process panicked, ended by itself, or failed to end properly after SIGTERM.

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

/// A violation of a rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    /// The UID of the object that it is about.
    pub(crate) object: Option<String>,
    pub(crate) what: String,
}

type Rule = fn(&Evidence) -> Vec<Violation>;

const RULES: [Rule; 11] =
    [claimed, once, effects, limits, ends, truth, finality, thrift, rate, secrets, processes];

/// Returns all violations.
pub(crate) fn judge(evidence: &Evidence) -> Vec<Violation> {
    RULES.into_iter().flat_map(|rule| rule(evidence)).collect()
}

fn about(rule: &'static str, history: &History, what: String) -> Violation {
    Violation { rule, object: Some(history.uid.clone()), what }
}

/// Returns the successive requests of an object.
fn requests(history: &History) -> Vec<&str> {
    let mut requests: Vec<&str> = history.versions.iter().map(Object::request_id).collect();
    requests.dedup();
    requests.retain(|request| !request.is_empty());
    requests
}
