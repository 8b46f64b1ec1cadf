//! Ten thousand requests, an operator that dies in the middle of them, and one that finds them finished.

use std::time::Duration;

use crate::scale::crowd::Crowd;
use crate::scale::metrics::Metrics;
use cde_harness::{Flags, TestEnv};

const OBJECTS: usize = 10_000;
/// The number of requests under way, at most, when the operator dies.
const CONCURRENCY: usize = 16;
/// How long the first quarter may take, after which the operator dies.
const PATIENCE: Duration = Duration::from_mins(5);
/// How much the memory of two starts may differ.
const MEGABYTES: f64 = 5.0;

/// Fault 40.
#[tokio::test]
async fn ten_thousand_objects_have_one_effect_each_and_cost_nothing_when_finished() {
    let env = TestEnv::new().await;
    let flags = Flags::default().with("--timeout", "5s");
    let mut first = env.start(flags.clone()).await;
    let empty = Metrics::of(&mut first).await.memory();
    let crowd = Crowd::new(&env, OBJECTS);
    let dies_among_them = async {
        env.sandbox.wait_for(|ledger| ledger.all_effects() >= OBJECTS / 4, PATIENCE).await.unwrap();
        first.kill();
    };
    tokio::join!(crowd.create(&env), dies_among_them);
    let mut second = env.start(flags.clone()).await;
    crowd.all_succeed(&env).await;

    crowd.check_one_effect_each(&env);
    // A rollback is read and called, and a restore is called. A call that was under way when the first operator died
    // is verified, and repeated if it had no effect.
    let (calls, needed) = (env.sandbox.ledger().calls().len(), OBJECTS + OBJECTS / 2);
    assert!(calls <= needed + 3 * CONCURRENCY, "{calls} calls");
    let busy = Metrics::of(&mut second).await;
    eprintln!("{calls} calls for {OBJECTS} objects; {:.0} MB at the end, {empty:.0} MB empty", busy.memory());
    assert_eq!(second.terminate().await, Some(0));

    let written = env.operator_writes("").len();
    let mut third = env.start(flags).await;
    let metrics = Metrics::of(&mut third).await;
    assert!(metrics.memory() - empty < MEGABYTES, "{} MB, and {empty} MB empty", metrics.memory());
    env.settle().await;
    let new = env.operator_writes("").split_off(written);
    assert!(
        new.iter().all(|write| write.name.starts_with("marker-")),
        "finished requests are written: {new:#?}"
    );
    assert_eq!(env.sandbox.ledger().calls().len(), calls + 2, "two calls for the marker alone");
    assert!(Metrics::of(&mut third).await.reconciles() <= 3.0, "finished requests are reconciled");
}
