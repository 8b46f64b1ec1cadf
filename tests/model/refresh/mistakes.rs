//! The model is only useful if it detects mistakes: for each mutation it must find a history that breaks the right
//! property.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use crate::history;

use super::machine::Machine;
use super::mutations::Mutation;
use super::properties::*;
use super::server::Kind;
use super::state::Bounds;

/// Explores until `property` is broken.
fn catch(kind: Kind, mutation: Mutation, bounds: Bounds, property: &'static str) {
    let machine = Machine { mutation: Some(mutation), ..Machine::new(kind, bounds) };
    let when = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checker = machine.checker().finish_when(when).spawn_bfs().join();
    let path = checker.discovery(property);
    assert!(path.is_some(), "not caught in {} states: {mutation:?}", checker.unique_state_count());
    let path = path.unwrap();
    println!("{mutation:?} in {} states; {}", checker.unique_state_count(), history(property, path));
}

macro_rules! caught {
    ($($name:ident: $kind:ident, $mutation:ident within {$($bound:ident: $times:literal),*} breaks $property:ident;)*) => {
        $(#[test]
        fn $name() {
            let bounds = Bounds { $($bound: $times,)* ..Bounds::NO_FAULTS };
            catch(Kind::$kind, Mutation::$mutation, bounds, $property);
        })*
    };
}

caught! {
    a_refresh_without_a_claim_is_detected:
        Rotates, ClaimIsSkipped within {} breaks ONE_REQUEST;
    a_claim_without_an_answer_that_counts_is_detected:
        Rotates, ClaimIsNotConfirmed within { lost_writes: 1 } breaks ONE_REQUEST;
    a_conflict_that_is_ignored_is_detected:
        Rotates, ConflictIsIgnored within {} breaks USED_ONCE;
    a_request_after_the_end_of_its_claim_is_detected:
        Rotates, EndedClaimSends within { delays: 1 } breaks ONE_REQUEST;
    a_token_that_is_used_before_it_is_stored_is_detected:
        Rotates, UsedBeforeStored within {} breaks USED_IS_STORED;
    a_claim_that_is_released_before_the_result_is_stored_is_detected:
        Rotates, ClaimIsReleasedFirst within {} breaks USED_ONCE;
    a_result_that_is_written_only_once_is_detected:
        Rotates, ResultIsWrittenOnce within { lost_writes: 1 } breaks RESULTS_ARE_KEPT;
    a_replaced_token_that_is_sent_after_an_old_secret_is_put_back_is_detected:
        Rotates, ReplacedIsForgotten within { put_back: 1 } breaks SPENT_STAYS_UNSENT;
    a_spent_token_that_is_sent_after_an_old_secret_is_put_back_is_detected:
        Rotates, SpentIsSentAgain within { put_back: 1 } breaks SPENT_STAYS_UNSENT;
    a_rejected_token_that_is_sent_again_is_detected:
        Rotates, RejectionIsForgotten within { faults: 1 } breaks SPENT_STAYS_UNSENT;
    a_rejected_token_that_is_sent_again_forever_is_detected:
        Rotates, RejectionIsForgotten within { faults: 1 } breaks ALL_ENDS;
    an_older_version_that_is_taken_over_is_detected:
        Rotates, OlderVersionIsTaken within { outdated: 1, crashes: 1 } breaks REQUIRED_IS_TRUE;
    a_claim_of_another_process_that_is_released_is_detected:
        Rotates, AnyClaimIsReleased within { delays: 1, crashes: 1, faults: 1 } breaks ONE_REQUEST;
    a_claim_of_another_process_that_a_late_result_overwrites_is_detected:
        Keeps, ClaimIsOverwritten within { delays: 1, crashes: 1 } breaks ONE_REQUEST;
    a_revocation_after_the_write_of_a_late_process_is_detected:
        GraceWithNewToken, KeptClaimRevokes within { delays: 1 } breaks STORED_IS_NOT_REVOKED;
    a_revocation_after_an_unclear_write_is_detected:
        Rotates, UnclearWriteRevokes within { lost_writes: 1 } breaks STORED_IS_NOT_REVOKED;
    a_revocation_after_the_end_of_the_claim_is_detected:
        GraceWithNewToken, EndedClaimRevokes within { delays: 1 } breaks STORED_IS_NOT_REVOKED;
    a_claim_of_another_process_that_is_not_waited_out_is_detected:
        Rotates, ClaimIsNotWaitedOut within {} breaks ONE_REQUEST;
    a_claim_of_another_process_that_counts_as_own_is_detected:
        Rotates, AnyClaimCountsAsOwn within {} breaks ONE_REQUEST;
    an_own_claim_that_counts_as_anothers_is_detected:
        Rotates, OwnClaimCountsAsAnothers within { lost_writes: 1 } breaks OWN_CLAIM_IS_FREE;
    a_new_login_that_is_overwritten_is_detected:
        Rotates, AnyLoginIsOverwritten within { logins: 1 } breaks STORED_STAYS;
    a_logout_that_is_overwritten_is_detected:
        Rotates, AnyLoginIsOverwritten within { logouts: 1 } breaks STORED_STAYS;
    a_label_that_ends_the_result_is_detected:
        Rotates, AnyConflictEndsTheResult within { labels: 1 } breaks RESULTS_ARE_KEPT;
    an_old_login_that_ends_the_result_is_detected:
        Rotates, OldLoginWins within { put_back: 1 } breaks RESULTS_ARE_KEPT;
}
