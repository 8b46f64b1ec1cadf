//! A model of two operators, an API server, the CDE and people, checked exhaustively within bounds with the real
//! rules: every order of all events, with every fault, until the bounds are used up.
//!
//! Both operators are always at work, so the properties hold without leader election. `CDE_MODEL=large` adds scenarios
//! with wider bounds.
//!
//! ```text
//!   machine        which events can happen, and the state after each
//!   state          one state: values only                 clock      time, as symbols
//!   operator       the shell's protocol around the rules  rules      the real decide and apply_response
//!   api_server     compare-and-swap, lost replies         cde        effects and responses, separately
//!   people         suspend, retry, delete, and others     subject    the two kinds
//!   properties     what always holds                      progress   when faults end, every object ends
//!   mutations      mistakes that must be detected         mistakes   checks that each mutation is detected
//!   status_table   statuses, numbered                     scenarios  the bounds
//! ```
//!
//! [`refresh`] is another model: the refresh of the CDE login.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "tests panic on unexpected results, and their names document them"
)]

mod api_server;
mod cde;
mod clock;
mod machine;
mod mistakes;
mod mutations;
mod operator;
mod people;
mod progress;
mod properties;
mod refresh;
mod rules;
mod scenarios;
mod state;
mod status_table;
mod subject;

use std::collections::BTreeSet;
use std::time::Instant;

use cde_operator::api::{ConnectorRestore, MigrationRollback, Reason};
use stateright::{Checker, HasDiscoveries, Model, Path};

use machine::Machine;
use scenarios::Scenario;
use state::Bounds;
use subject::Subject;

/// Explores everything that may happen in `scenario`, and prints one line of statistics.
///
/// # Panics
/// If a property does not hold. The message has the history that led there.
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

/// Returns the history that broke `property`.
fn history<S, A: std::fmt::Debug>(property: &str, path: Path<S, A>) -> String {
    let events = path.into_vec().into_iter().filter_map(|(_, event)| event);
    let events: Vec<_> = events.map(|event| format!("  {event:?}")).collect();
    format!("broken: {property}\n{}", events.join("\n"))
}

/// Explores all scenarios, and checks that each reason of the kind occurs.
fn explore_all<S: Subject>(reasons: &[Reason]) {
    let reached: BTreeSet<_> = scenarios::all().iter().flat_map(explore::<S>).collect();
    assert_eq!(reached, reasons.iter().copied().collect());
}

#[test]
fn a_rollback_keeps_every_property_within_the_bounds() {
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
        ConfirmedFailed,
    ]);
}

#[test]
fn a_restore_keeps_every_property_within_the_bounds() {
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
        ConfirmedFailed,
    ]);
}

/// The limit of the design: a call that a process has handed to its HTTP stack goes out even if the process, or its
/// machine, stood still meanwhile for longer than the claim lasts.
#[test]
fn a_call_that_outlives_its_claim_may_be_a_second_effect() {
    let mut machine = Machine::<MigrationRollback>::new(Bounds::NO_FAULTS);
    machine.calls_outlive_claims = true;
    let checker = machine.checker().finish_when(HasDiscoveries::Any).spawn_bfs().join();
    let (property, path) = checker.discoveries().into_iter().next().unwrap();
    println!("{}", history(property, path));
    assert_eq!(property, properties::ONE_EFFECT);
}
