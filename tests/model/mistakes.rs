//! The model is only useful if it detects mistakes: for each mutation it must find a history that breaks the right
//! property.

use std::collections::BTreeSet;

use cde_operator::api::{ConnectorRestore, MigrationRollback};
use stateright::{Checker, HasDiscoveries, Model};

use crate::history;
use crate::machine::Machine;
use crate::mutations::Mutation;
use crate::properties::*;
use crate::state::Bounds;
use crate::subject::Subject;

/// Explores until `property` is broken.
fn catch<S: Subject>(mutation: Mutation, bounds: Bounds, property: &'static str) {
    let machine = Machine::<S>::with(bounds, Some(mutation));
    let when = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checker = machine.checker().finish_when(when).spawn_bfs().join();
    let path = checker.discovery(property);
    assert!(path.is_some(), "not caught in {} states: {mutation:?}", checker.unique_state_count());
    let path = path.unwrap();
    println!("{mutation:?} in {} states; {}", checker.unique_state_count(), history(property, path));
}

macro_rules! caught {
    ($($name:ident: $kind:ty, $mutation:ident within {$($bound:ident: $times:literal),*} breaks $property:ident;)*) => {
        $(#[test]
        fn $name() {
            let bounds = Bounds { $($bound: $times,)* ..Bounds::NO_FAULTS };
            catch::<$kind>(Mutation::$mutation, bounds, $property);
        })*
    };
}

caught! {
    a_call_without_a_claim_is_caught:
        MigrationRollback, ClaimIsSkipped within {} breaks CALLS_ARE_CLAIMED;
    a_claim_that_is_skipped_lets_both_call:
        MigrationRollback, ClaimIsSkipped within {} breaks ONE_EFFECT;
    a_claim_that_is_not_confirmed_is_caught:
        MigrationRollback, ClaimIsNotConfirmed within { lost_writes: 1 } breaks ONE_EFFECT;
    a_conflict_that_is_ignored_is_caught:
        MigrationRollback, ConflictIsIgnored within {} breaks ONE_EFFECT;
    a_record_over_whatever_stands_is_caught:
        MigrationRollback, AnythingIsRecordedOver within { delays: 1, faults: 1 } breaks FINAL_STAYS;
    a_call_after_its_claim_is_caught:
        MigrationRollback, LateClaimActs within { delays: 1 } breaks ONE_EFFECT;
    an_age_that_outlives_its_claim_is_caught:
        MigrationRollback, AgeOutlivesItsClaim within { faults: 1 } breaks ONE_EFFECT;
    a_reading_that_outlives_its_object_is_caught:
        MigrationRollback, ReadingOutlivesItsObject within { faults: 1 } breaks ONE_EFFECT;
    a_record_that_consumes_a_wish_is_caught:
        MigrationRollback, RecordConsumesWish within { retries: 1 } breaks RETRIES_COUNT;
    a_lost_outcome_that_gives_the_claim_back_is_caught:
        MigrationRollback, LostOutcomeReleases within { lost_writes: 1 } breaks ONE_EFFECT;
    a_claim_that_counts_as_unsent_whoever_made_it_is_caught:
        MigrationRollback, AnyClaimCountsAsUnsent within {} breaks ONE_EFFECT;
    a_claim_that_is_not_waited_out_is_caught:
        MigrationRollback, ClaimIsNotWaitedOut within {} breaks ONE_EFFECT;
    a_claim_under_ones_own_name_that_is_trusted_is_caught:
        MigrationRollback, OwnNameIsTrusted within { crashes: 1 } breaks ONE_EFFECT;
    an_attempt_without_verification_is_caught:
        MigrationRollback, VerificationIsSkipped within { faults: 1 } breaks ONE_EFFECT;
    a_state_before_that_is_forgotten_is_caught:
        MigrationRollback, StateBeforeIsForgotten within { faults: 1 } breaks ONE_EFFECT;
    a_version_that_is_resolved_anew_for_each_attempt_is_caught:
        MigrationRollback, PinIsForgotten within { faults: 1, moves: 1 } breaks ONE_VERSION;
    a_moving_connector_that_counts_as_unchanged_is_caught:
        MigrationRollback, MovingCountsAsUnchanged within { faults: 1, polls: 1 } breaks ONE_EFFECT;
    a_refused_read_that_counts_as_unchanged_is_caught:
        MigrationRollback, RefusedReadCountsAsUnchanged within { faults: 1 } breaks ONE_EFFECT;
    a_time_out_that_means_no_effect_is_caught:
        MigrationRollback, TimeOutMeansNoEffect within { faults: 1 } breaks ONE_EFFECT;
    a_raced_read_is_caught:
        MigrationRollback, ReadIsRaced within { faults: 1 } breaks ONE_EFFECT;
    a_clock_that_is_trusted_is_caught:
        MigrationRollback, ClockIsTrusted within { faults: 1, clock_steps: 1 } breaks ONE_EFFECT;
    a_retry_that_cuts_every_wait_short_is_caught:
        MigrationRollback, RetryCutsEveryWaitShort within { faults: 1, retries: 1 } breaks ONE_EFFECT;
    a_refusal_after_an_unknown_attempt_that_fails_the_request_is_caught:
        ConnectorRestore, TerminalAfterUnknownFails within { faults: 1 } breaks FAILED_IS_TRUE;
    a_server_error_that_counts_as_success_is_caught:
        MigrationRollback, ServerErrorIsSuccess within { faults: 1 } breaks SUCCESS_RESTS;
    a_finished_request_that_is_opened_is_caught:
        MigrationRollback, FinishedIsOpened within { faults: 1 } breaks FINISHED_STAYS;
    attempts_that_are_reset_are_caught:
        MigrationRollback, AttemptsAreReset within { faults: 1 } breaks ATTEMPTS_GROW;
}
