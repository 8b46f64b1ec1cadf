//! The API server asks for a wait or goes silent. The operator keeps its own pace in both cases.

use std::time::{Duration, Instant};

use cde_sandbox::proxy::{Point, Proxy, Rule};
use jiff::{SignedDuration, Timestamp};

use crate::faults::proxied::{CLAIM, OUTCOME, behind_proxy, failure, written};
use crate::faults::request::{
    a_restore, a_rollback, apply, both, end_as_without_fault, lists, until, watch_expired,
};
use cde_harness::{Operator, POLL};

const REFUSALS: [(u16, &str); 3] = [(429, "TooManyRequests"), (503, "ServiceUnavailable"), (504, "Timeout")];

/// Each form of `Retry-After`.
fn retry_after() -> [String; 4] {
    let date = (Timestamp::now() + SignedDuration::from_hours(1)).strftime("%a, %d %b %Y %H:%M:%S GMT");
    ["0".to_owned(), "30".to_owned(), date.to_string(), u64::MAX.to_string()]
}

/// Fault 19.
#[tokio::test]
async fn a_delayed_write_is_repeated_soon_whatever_retry_after_says() {
    let (env, proxy, _operator) = behind_proxy().await;
    let mut requests = Vec::new();
    for (code, reason) in REFUSALS {
        for (form, retry_after) in retry_after().iter().enumerate() {
            let (name, headers) = (format!("r{code}-{form}"), [("Retry-After", retry_after.as_str())]);
            for (write, request) in
                [(CLAIM, a_rollback(&env.sandbox, &name)), (OUTCOME, a_restore(&env.sandbox, &name))]
            {
                let rule = request.status_writes().skip(write);
                proxy.answer(rule, Point::BeforeForward, code, &headers, failure(code, reason));
                requests.push(request);
            }
        }
    }
    apply(&env, &requests).await;

    end_as_without_fault(&env, &requests, 1, false).await;

    for request in &requests {
        assert_eq!(written(&proxy, request), 3, "status writes of {}", request.name);
        let time = |value: &serde_json::Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
        let end = request.get(&env).await;
        let took = time(&end.operation()["completionTime"]) - time(&end.0["metadata"]["creationTimestamp"]);
        assert!(took.get_seconds() < 25, "{} took {took}", request.name);
    }
}

/// Returns when the requests that match `rule` arrived at the proxy.
fn times(proxy: &Proxy, rule: &Rule) -> Vec<Timestamp> {
    let ledger = proxy.ledger();
    ledger.iter().filter(|exchange| rule.matches(&exchange.call)).map(|exchange| exchange.at).collect()
}

/// Fault 19.
#[tokio::test]
async fn delayed_lists_and_watches_are_repeated_soon_but_not_at_once() {
    let (env, proxy, _operator) = behind_proxy().await;
    let rules = [Rule::watch("connectorrestores"), lists("migrationrollbacks")];
    let so_far = rules.each_ref().map(|rule| proxy.count(rule));
    proxy.answer(Rule::watch("migrationrollbacks"), Point::BeforeForward, 200, &[], watch_expired());
    for rule in &rules {
        for ((code, reason), retry_after) in REFUSALS.into_iter().zip(&retry_after()[1..]) {
            let headers = [("Retry-After", retry_after.as_str())];
            proxy.answer(rule.clone(), Point::BeforeForward, code, &headers, failure(code, reason));
        }
    }
    proxy.cut_watches();
    let requests = both(&env.sandbox, "struck");
    apply(&env, &requests).await;

    end_as_without_fault(&env, &requests, 1, false).await;

    for (rule, so_far) in rules.iter().zip(so_far) {
        let times = times(&proxy, rule).split_off(so_far);
        assert_eq!(times.len(), 4, "three refusals and a success: {times:?}");
        for pair in times.windows(2) {
            let gap = pair[1].duration_since(pair[0]);
            assert!(gap >= SignedDuration::from_millis(700), "asked again after {gap}");
        }
    }
}

/// A dead connection is noticed after 75 seconds, and a request takes a moment.
const NOTICED: Duration = Duration::from_secs(75 + 15);

async fn is_well(operator: &mut Operator) {
    for probe in ["/livez", "/readyz"] {
        let answer = operator.probe(probe).await.unwrap();
        assert_eq!(answer.0, 200, "{probe}: {}", answer.1);
    }
}

/// Fault 20: the watch of one kind goes silent, and the watch of the other kind is never answered.
#[tokio::test]
async fn a_silently_dead_watch_is_noticed_and_the_missed_changes_are_handled() {
    let (env, proxy, mut operator) = behind_proxy().await;
    let unanswered = proxy.hold(Rule::watch("migrationrollbacks"), Point::BeforeForward);
    let running = Rule::watch("connectorrestores");
    let so_far = proxy.count(&running);
    proxy.cut_watches();
    unanswered.seen().await.unwrap();
    let streams = || {
        let ledger = proxy.ledger();
        ledger.iter().filter(|it| running.matches(&it.call) && it.status == Some(200)).count()
    };
    until("another watch", || streams() > so_far).await;
    proxy.stall_watches();
    let requests = both(&env.sandbox, "struck");
    apply(&env, &requests).await;

    let begun = Instant::now();
    for request in &requests {
        while request.get(&env).await.reason() != request.success() {
            assert!(begun.elapsed() < NOTICED, "{} was not seen\n{}", request.plural(), operator.log());
            is_well(&mut operator).await;
            tokio::time::sleep(POLL * 10).await;
        }
    }

    end_as_without_fault(&env, &requests, 1, false).await;
    drop(unanswered);
}
