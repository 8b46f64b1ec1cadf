//! A model of two operators, an API server, the CDE and people, checked exhaustively within bounds over the real
//! rules: every order of everything that may happen, with every fault, until the bounds are spent.
//!
//! Both operators are always at work: what holds here holds without any leader election. `CDE_MODEL=large` adds
//! scenarios with wider bounds.
//!
//! ```text
//!   machine      what may happen next, and what the world is then
//!   world        one moment: values only                  clock      time, as symbols
//!   operator     the shell's protocol around the rules    rules      the real decide and conclude, asked by number
//!   api_server   compare-and-swap, answers lost           cde        effect and answer apart
//!   people       suspend, retry, delete, and others       subject    the two kinds
//!   properties   what always holds                        progress   where faults end, every object ends
//!   mutations    mistakes that must be caught             book       statuses, numbered
//!   scenarios    the bounds                               mistakes   each mutation is caught
//! ```

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test ends where something is missing, and its name is its documentation"
)]

mod api_server;
mod book;
mod cde;
mod clock;
mod machine;
mod mistakes;
mod mutations;
mod operator;
mod people;
mod progress;
mod properties;
mod rules;
mod scenarios;
mod subject;
mod world;

use std::collections::BTreeSet;
use std::time::Instant;

use cde_operator::api::{ConnectorRestore, MigrationRollback, Reason};
use stateright::{Checker, HasDiscoveries, Model, Path};

use machine::{Event, Machine};
use scenarios::Scenario;
use subject::Subject;
use world::{Bounds, World};

/// Explores all that may happen in `scenario`, and tells in one line how much that was.
///
/// # Panics
/// With the history that led there, where a property does not hold.
fn explore<S: Subject>(scenario: &Scenario) -> BTreeSet<Reason> {
    let begun = Instant::now();
    let checker = Machine::<S>::new(scenario.bounds).checker().threads(2).spawn_bfs().join();
    println!(
        "{}, {}: {} states, {} steps, depth {}, {:.1} s; {:?}",
        S::KIND,
        scenario.name,
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs_f64(),
        scenario.bounds,
    );
    let broken = checker.discoveries().into_iter().next();
    assert!(
        broken.is_none(),
        "{}",
        broken.map(|(property, path)| history(property, path)).unwrap_or_default()
    );
    checker.model().rules.reasons()
}

/// How `property` came to be broken.
fn history(property: &str, path: Path<World, Event>) -> String {
    let events = path.into_vec().into_iter().filter_map(|(_, event)| event);
    let events: Vec<_> = events.map(|event| format!("  {event:?}")).collect();
    format!("broken: {property}\n{}", events.join("\n"))
}

/// Explores all scenarios; each reason of the contract that the kind has comes up in them.
fn explore_all<S: Subject>(reasons: &[Reason]) {
    let reached: BTreeSet<_> = scenarios::all().iter().flat_map(explore::<S>).collect();
    assert_eq!(reached, reasons.iter().copied().collect());
}

#[test]
fn a_rollback_keeps_every_promise_whatever_happens_within_the_bounds() {
    use Reason::*;
    explore_all::<MigrationRollback>(&[
        RolledBack,
        Skipped,
        OnHold,
        InProgress,
        Verifying,
        Retrying,
        TokenRejected,
        Suspended,
        OperationNotAllowed,
        Expired,
        OutcomeUnknown,
    ]);
}

#[test]
fn a_restore_keeps_every_promise_whatever_happens_within_the_bounds() {
    use Reason::*;
    explore_all::<ConnectorRestore>(&[
        Restored,
        AlreadyRestored,
        Skipped,
        OnHold,
        InProgress,
        Verifying,
        Retrying,
        TokenRejected,
        Suspended,
        OperationNotAllowed,
        NotFound,
        Expired,
        OutcomeUnknown,
    ]);
}

/// The limit of the design: what a process has handed to its HTTP stack goes out even if the process, or its
/// machine, stood still meanwhile for longer than the claim lasts.
#[test]
fn a_call_that_outlives_its_claim_may_be_a_second_effect() {
    let mut machine = Machine::<MigrationRollback>::new(Bounds::CALM);
    machine.calls_outlive_claims = true;
    let checker = machine.checker().finish_when(HasDiscoveries::Any).spawn_bfs().join();
    let (property, path) = checker.discoveries().into_iter().next().unwrap();
    println!("{}", history(property, path));
    assert_eq!(property, properties::ONE_EFFECT);
}
