//! A thousand suspended requests, as an operator finds them when it starts.

use std::time::Duration;

use cde_sandbox::cde::Operation;

use crate::scale::crowd::Crowd;
use cde_harness::{Flags, TestEnv};

const OBJECTS: usize = 1000;
/// Calls per second.
const RATE: usize = 100;

#[tokio::test]
async fn a_thousand_suspended_requests_are_read_within_the_rate_and_cost_one_write_each() {
    let env = TestEnv::new().await;
    let crowd = Crowd::new(&env, OBJECTS);
    crowd.create_with(&env, |manifest| manifest.spec("suspend", true)).await;

    let _operator = env.start(Flags::default().with("--rate", &RATE.to_string())).await;
    let took = crowd.none_matches(&env, "status.reason!=Suspended").await;
    env.settle().await;

    let ledger = env.sandbox.ledger();
    let reads =
        ledger.calls().iter().filter(|call| crowd.requests.iter().any(|it| Some(it.id) == call.connector));
    let reads: Vec<_> = reads.collect();
    assert_eq!(reads.len(), OBJECTS, "one call each");
    assert!(reads.iter().all(|call| call.operation == Some(Operation::Read)), "and each call is a read");
    for window in reads.windows(2 * RATE + 1) {
        // Two seconds by the rate; a call may be slower on its way than the next one.
        let took = window[2 * RATE].at.duration_since(window[0].at).unsigned_abs();
        assert!(took >= Duration::from_millis(1_700), "{} calls within {took:?}", window.len());
    }
    let writes = env.operator_writes("").into_iter().filter(|write| write.subresource == "status");
    let writes = writes.filter(|write| !write.name.starts_with("marker-")).count();
    assert_eq!(writes, OBJECTS, "one status write each");
    eprintln!("{OBJECTS} previews at {RATE} calls per second: {took:?}");
}
