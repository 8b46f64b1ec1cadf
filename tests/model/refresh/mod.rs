//! A model of the refresh of the CDE login: two processes, the Secret, an authorization server and people, checked
//! exhaustively within bounds with the real decisions of `credential::protocol`.
//!
//! Both processes always act, as two operators that share a Secret do. `CDE_MODEL=large` adds scenarios with wider bounds.
//!
//! ```text
//!   machine      which events can happen, and the state after each
//!   state        one state: values only                  real        the real next, after and conflict
//!   process      the shell's protocol around them        server      rotation, reuse detection, grace period
//!   api_server   conditional patches, lost replies       people      logins, logouts, old Secrets, labels
//!   properties   what always holds                       progress    when faults end, every process ends well
//!   mutations    mistakes that must be detected          mistakes    checks that each mutation is detected
//!   scenarios    the bounds                              faults      crashes, abandoned requests, time
//! ```

mod api_server;
mod faults;
mod machine;
mod mistakes;
mod mutations;
mod people;
mod process;
mod progress;
mod properties;
mod real;
mod scenarios;
mod server;
mod state;

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use crate::history;

use machine::Machine;
use scenarios::Scenario;
use server::Kind;
use state::Bounds;

/// Explores everything that may happen in `scenario`, and prints one line of statistics.
///
/// # Panics
/// If a property does not hold. The message has the history that led there.
fn explore(kind: Kind, scenario: &Scenario) {
    let begun = Instant::now();
    let checker = Machine::new(kind, scenario.bounds).checker().threads(2).spawn_bfs().join();
    println!(
        "{kind:?}, {}: {} states, {} steps, depth {}, {:.1} s; {:?}",
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
        "{kind:?}, {}: {}",
        scenario.name,
        broken.map(|(property, path)| history(property, path)).unwrap_or_default()
    );
}

fn explore_all(kind: Kind) {
    for scenario in scenarios::all() {
        explore(kind, &scenario);
    }
}

#[test]
fn a_login_that_rotates_keeps_every_property_within_the_bounds() {
    explore_all(Kind::Rotates);
}

#[test]
fn a_login_with_a_grace_period_keeps_every_property_within_the_bounds() {
    explore_all(Kind::GraceWithNewToken);
    explore_all(Kind::GraceWithSameToken);
}

#[test]
fn a_login_that_does_not_rotate_keeps_every_property_within_the_bounds() {
    explore_all(Kind::Keeps);
}

/// The limit of the design: a request that a process has handed to its HTTP stack goes out even if the process, or its
/// machine, stood still meanwhile for longer than the claim lasts.
#[test]
fn a_request_that_outlives_its_claim_may_meet_another_one() {
    let bounds = Bounds { delays: 1, ..Bounds::NO_FAULTS };
    let machine = Machine { excuses_stand_stills: false, ..Machine::new(Kind::Rotates, bounds) };
    let checker = machine.checker().finish_when(HasDiscoveries::Any).spawn_bfs().join();
    let (property, path) = checker.discoveries().into_iter().next().unwrap();
    println!("{}", history(property, path));
    assert_eq!(property, properties::ONE_REQUEST);
}
