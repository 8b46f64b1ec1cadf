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
    a_call_without_a_claim_is_detected:
        MigrationRollback, ClaimIsSkipped within {} breaks CALLS_ARE_CLAIMED;
    a_skipped_claim_that_lets_both_operators_call_is_detected:
        MigrationRollback, ClaimIsSkipped within {} breaks ONE_EFFECT;
    a_claim_that_is_not_confirmed_is_detected:
        MigrationRollback, ClaimIsNotConfirmed within { lost_writes: 1 } breaks ONE_EFFECT;
    a_conflict_that_is_ignored_is_detected:
        MigrationRollback, ConflictIsIgnored within {} breaks ONE_EFFECT;
    a_record_that_overwrites_any_status_is_detected:
        MigrationRollback, AnythingIsRecordedOver within { delays: 1, faults: 1 } breaks FINAL_STAYS;
    a_call_after_its_claim_is_detected:
        MigrationRollback, LateClaimActs within { delays: 1 } breaks ONE_EFFECT;
    an_age_that_outlives_its_claim_is_detected:
        MigrationRollback, AgeOutlivesItsClaim within { faults: 1 } breaks ONE_EFFECT;
    a_reading_that_outlives_its_object_is_detected:
        MigrationRollback, ReadingOutlivesItsObject within { faults: 1 } breaks ONE_EFFECT;
    a_record_that_consumes_a_retry_is_detected:
        MigrationRollback, RecordConsumesRetry within { retries: 1 } breaks RETRIES_COUNT;
    a_lost_outcome_that_releases_the_claim_is_detected:
        MigrationRollback, LostOutcomeReleases within { lost_writes: 1 } breaks ONE_EFFECT;
    a_claim_of_any_process_that_counts_as_unsent_is_detected:
        MigrationRollback, AnyClaimCountsAsUnsent within {} breaks ONE_EFFECT;
    a_claim_that_is_not_waited_out_is_detected:
        MigrationRollback, ClaimIsNotWaitedOut within {} breaks ONE_EFFECT;
    a_claim_under_its_own_name_that_counts_as_released_is_detected:
        MigrationRollback, OwnNameIsTrusted within { crashes: 1 } breaks ONE_EFFECT;
    an_attempt_without_verification_is_detected:
        MigrationRollback, VerificationIsSkipped within { faults: 1 } breaks ONE_EFFECT;
    a_forgotten_state_before_the_first_attempt_is_detected:
        MigrationRollback, StateBeforeIsForgotten within { faults: 1 } breaks ONE_EFFECT;
    a_version_that_is_resolved_again_for_each_attempt_is_detected:
        MigrationRollback, PinIsForgotten within { faults: 1, moves: 1 } breaks ONE_VERSION;
    a_moving_connector_that_counts_as_unchanged_is_detected:
        MigrationRollback, MovingCountsAsUnchanged within { faults: 1, polls: 1 } breaks ONE_EFFECT;
    a_refused_read_that_counts_as_unchanged_is_detected:
        MigrationRollback, RefusedReadCountsAsUnchanged within { faults: 1 } breaks ONE_EFFECT;
    a_timeout_that_counts_as_no_effect_is_detected:
        MigrationRollback, TimeoutMeansNoEffect within { faults: 1 } breaks ONE_EFFECT;
    a_read_before_the_end_of_the_claim_is_detected:
        MigrationRollback, ReadIsRaced within { faults: 1 } breaks ONE_EFFECT;
    a_wall_clock_that_decides_about_a_claim_is_detected:
        MigrationRollback, ClockIsTrusted within { faults: 1, clock_steps: 1 } breaks ONE_EFFECT;
    a_retry_that_cuts_every_wait_short_is_detected:
        MigrationRollback, RetryCutsEveryWaitShort within { faults: 1, retries: 1 } breaks ONE_EFFECT;
    a_refusal_after_an_unknown_attempt_that_fails_the_request_is_detected:
        ConnectorRestore, TerminalAfterUnknownFails within { faults: 1 } breaks FAILED_IS_TRUE;
    a_server_error_that_counts_as_success_is_detected:
        MigrationRollback, ServerErrorIsSuccess within { faults: 1 } breaks SUCCESS_RESTS;
    a_finished_request_that_counts_as_open_is_detected:
        MigrationRollback, FinishedIsOpened within { faults: 1 } breaks FINISHED_STAYS;
    a_confirmation_of_another_request_that_counts_is_detected:
        MigrationRollback, AnyConfirmationCounts within { confirmations: 1, retries: 1, faults: 2 }
        breaks FINISHED_STAYS;
    attempts_that_are_reset_are_detected:
        MigrationRollback, AttemptsAreReset within { faults: 1 } breaks ATTEMPTS_GROW;
}
