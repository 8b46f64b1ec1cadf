//! Long random runs: many objects, many faults, a fixed time, one oracle.
//!
//! ```console
//! cargo test --test load random:: -- --nocapture                                        # a random seed, 20 s of faults
//! CDE_SEED=7 CDE_RANDOM_SECONDS=300 cargo test --test load random:: -- --nocapture      # this seed, this long
//! ```
//!
//! The seed decides the script: who does what and when. The machine decides how the processes interleave, so a replay
//! has the same script but is not the same run.

mod actor;
mod evidence;
mod generator;
mod oracle;
mod recorder;
mod report;
mod run;
mod script;

use std::time::Duration;

use generator::generate;

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

/// Faults 1 to 21, 23 to 30, 33 to 35, 37 and 39, in random order.
#[tokio::test]
async fn under_random_faults_each_request_has_at_most_one_effect_and_a_true_outcome() {
    let seed = setting("CDE_SEED").unwrap_or_else(rand::random);
    let length = Duration::from_secs(setting("CDE_RANDOM_SECONDS").unwrap_or(20));
    println!("CDE_SEED={seed} CDE_RANDOM_SECONDS={}", length.as_secs());

    let run = run::run(generate(seed, length)).await;

    let violations = oracle::judge(&run.evidence);
    println!("{}", report::summary(&run));
    assert!(violations.is_empty(), "{}", report::failure(&run, &violations));
}

#[test]
fn a_seed_always_gives_the_same_script_and_another_seed_another_one() {
    let length = Duration::from_secs(30);
    let [one, again, other] = [7, 7, 8].map(|seed| generate(seed, length));
    assert_eq!(one, again);
    assert_ne!(one.acts, other.acts);
}
