#![allow(clippy::panic, reason = "a test may panic")]

use super::*;

const TIMEOUT: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);
const LENGTH: Duration = Duration::from_secs(87);

fn login(access: &str, refresh: &str) -> Login {
    Login { access_token: Some(access.into()), refresh_token: Some(refresh.into()), ..Login::default() }
}

fn claimed(holder: &str) -> Login {
    Login { claim: Some(claim(holder, Timestamp::UNIX_EPOCH, LENGTH)), ..login("a1", "r1") }
}

/// What a process knows whose refresh is due.
fn due(login: Option<&Login>) -> Known<'_> {
    Known {
        login,
        is_spent: false,
        me: "me",
        claim_seen_for: Duration::ZERO,
        claim_length: LENGTH,
        due_in: Duration::ZERO,
        pause: Duration::ZERO,
    }
}

#[test]
fn the_next_step_has_its_row_in_the_table() {
    let (free, mine, theirs) = (login("a1", "r1"), claimed("me"), claimed("other"));
    let empty = Login::default();
    let only_access = Login { access_token: Some("a1".into()), ..Login::default() };
    let later = |due_in, pause, claim_seen_for, login| Known { claim_seen_for, due_in, pause, ..due(login) };
    let (zero, three, five) = (Duration::ZERO, SECOND * 3, SECOND * 5);
    for (case, known, expected) in [
        ("no Secret", due(None), Next::LoginRequired),
        ("an empty Secret", due(Some(&empty)), Next::LoginRequired),
        ("no refresh token", due(Some(&only_access)), Next::LoginRequired),
        ("a spent one", Known { is_spent: true, ..due(Some(&free)) }, Next::LoginRequired),
        (
            "a spent one, not due",
            Known { is_spent: true, due_in: five, ..due(Some(&free)) },
            Next::LoginRequired,
        ),
        ("due", due(Some(&free)), Next::Claim),
        ("due later", later(five, zero, zero, Some(&free)), Next::Wait(five)),
        ("paused", later(zero, five, zero, Some(&free)), Next::Wait(five)),
        ("paused longer", later(three, five, zero, Some(&free)), Next::Wait(five)),
        ("due after the pause", later(five, three, zero, Some(&free)), Next::Wait(five)),
        ("an own claim", due(Some(&mine)), Next::Claim),
        ("another's claim", due(Some(&theirs)), Next::Wait(LENGTH)),
        ("another's claim for a while", later(zero, zero, three, Some(&theirs)), Next::Wait(SECOND * 84)),
        ("another's claim until now", later(zero, zero, LENGTH, Some(&theirs)), Next::Claim),
        ("another's claim, over", later(zero, zero, LENGTH * 2, Some(&theirs)), Next::Claim),
        ("another's claim, due later", later(five, zero, LENGTH, Some(&theirs)), Next::Wait(five)),
    ] {
        assert_eq!(next(&known), expected, "{case}");
    }
}

#[test]
fn a_claim_names_its_holder_and_its_end() {
    let now: Timestamp = Timestamp::UNIX_EPOCH;
    assert_eq!(claim("me", now, LENGTH), Claim { holder: "me".to_owned(), until: now + LENGTH });
    assert_eq!(claim("me", Timestamp::MAX, LENGTH).until, Timestamp::MAX);
}

#[test]
fn a_claim_covers_its_write_both_sends_and_the_write_of_the_result() {
    assert_eq!(claim_length(TIMEOUT), LENGTH);
    assert_eq!(claim_length(SECOND), SECOND * 29);
}

#[test]
fn a_request_goes_out_only_if_its_result_is_stored_within_the_claim() {
    // The slowest write, calls, first send and pause leave the time for the second one.
    let last = SECOND * (10 + 5 + 30 + 2);
    assert!(may_send(Duration::ZERO, TIMEOUT));
    assert!(may_send(last, TIMEOUT));
    assert!(!may_send(last + Duration::from_nanos(1), TIMEOUT));
    assert!(!may_send(LENGTH, TIMEOUT));
}

#[test]
fn a_refresh_is_due_after_three_quarters_of_the_lifetime_and_some_jitter() {
    let lifetime = SECOND * 1000;
    for (jitter, seconds) in [(0.0, 750), (0.5, 800), (1.0, 850)] {
        let difference = due_after(lifetime, jitter).abs_diff(SECOND * seconds);
        assert!(difference < Duration::from_micros(1), "{jitter}");
    }
}

#[test]
fn a_standby_refreshes_after_the_leader_and_before_the_token_expires() {
    let lifetime = SECOND * 1000;
    assert!(due_after(lifetime, 0.0) + standby_patience(lifetime) > due_after(lifetime, 1.0));
    assert!(due_after(lifetime, 1.0) + standby_patience(lifetime) < lifetime);
}

#[test]
fn a_token_is_young_for_thirty_seconds_or_until_its_refresh_is_due() {
    for (lifetime, expected) in
        [(SECOND * 3600, SECOND * 30), (SECOND * 40, SECOND * 30), (SECOND * 20, SECOND * 15)]
    {
        assert_eq!(young(lifetime), expected, "{lifetime:?}");
    }
}

fn followed(answer: Answer, sends: u32) -> String {
    match after(answer, sends, Timestamp::UNIX_EPOCH) {
        After::Persist(grant) => format!("persist {}", grant.access_token.expose_secret()),
        After::SendAgain => "send again".to_owned(),
        After::Reread => "reread".to_owned(),
        After::Release(wait) => format!("release {wait:?}"),
    }
}

#[test]
fn every_answer_has_its_row_in_the_table() {
    let why = String::new;
    let limited = |second| {
        Failure::Limited(why(), Some(Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(second)))
    };
    for (failure, first, second) in [
        (Failure::InvalidGrant(why()), "reread", "reread"),
        (Failure::Unknown(why()), "send again", "release None"),
        (Failure::Unreachable(why()), "release None", "release None"),
        (Failure::Configuration(why()), "release Some(300s)", "release Some(300s)"),
        (Failure::Limited(why(), None), "release None", "release None"),
        (limited(7), "release Some(7s)", "release Some(7s)"),
        // The time has passed meanwhile.
        (limited(-7), "release None", "release None"),
    ] {
        assert_eq!(followed(Answer::Failed(failure.clone()), 1), first, "{failure:?}");
        assert_eq!(followed(Answer::Failed(failure.clone()), 2), second, "{failure:?}");
        assert_eq!(followed(Answer::Failed(failure.clone()), 3), second, "{failure:?}");
    }
    let grant = Grant { access_token: "a2".into(), refresh_token: None, lifetime: None };
    assert_eq!(followed(Answer::Granted(grant.clone()), 1), "persist a2");
    assert_eq!(followed(Answer::Granted(grant), 2), "persist a2");
}

#[test]
fn every_conflict_has_its_row_in_the_table() {
    let (ours, sent) = (login("a2", "r2"), SecretString::from("r1"));
    let logged_out = Login { access_token: Some("a1".into()), ..Login::default() };
    for (case, stored, expected) in [
        ("no Secret", None, Conflict::TheirsWins),
        ("a logout", Some(Login::default()), Conflict::TheirsWins),
        ("a logout that left the access token", Some(logged_out), Conflict::TheirsWins),
        ("our result", Some(login("a2", "r2")), Conflict::Stored),
        (
            "our result, claimed again",
            Some(Login { claim: claimed("x").claim, ..ours.clone() }),
            Conflict::Stored,
        ),
        ("another label", Some(login("a1", "r1")), Conflict::WriteAgain),
        ("another's claim", Some(claimed("other")), Conflict::WriteAgain),
        ("an old login", Some(login("a0", "r0")), Conflict::WriteAgain),
        ("a new login", Some(login("a9", "r9")), Conflict::TheirsWins),
        ("the next access token", Some(login("a3", "r2")), Conflict::TheirsWins),
        ("the next refresh token", Some(login("a2", "r3")), Conflict::TheirsWins),
    ] {
        let is_spent = |token: &SecretString| token.expose_secret() == "r0";
        assert_eq!(conflict(&ours, &sent, stored.as_ref(), is_spent), expected, "{case}");
    }
}

#[test]
fn the_write_of_a_result_keeps_the_claim_of_another_process() {
    assert_eq!(others_claim(&login("a1", "r1"), "me"), None);
    assert_eq!(others_claim(&claimed("me"), "me"), None);
    assert_eq!(others_claim(&claimed("other"), "me"), claimed("other").claim);
}

#[test]
fn a_result_is_revoked_only_if_nothing_stored_can_follow_from_it() {
    let (new, kept, theirs, empty) = (login("a9", "r9"), claimed("me"), claimed("other"), Login::default());
    let replaced = |stored, claimed_for, may_be_stored| Replaced {
        stored,
        me: "me",
        claimed_for,
        claim_length: LENGTH,
        may_be_stored,
    };
    let (zero, almost) = (Duration::ZERO, LENGTH.saturating_sub(Duration::from_nanos(1)));
    for (case, replaced, expected) in [
        ("no Secret", replaced(None, LENGTH, true), true),
        ("a logout", replaced(Some(&empty), LENGTH, true), true),
        ("a new login", replaced(Some(&new), zero, false), true),
        ("a new login, just in time", replaced(Some(&new), almost, false), true),
        ("a new login after the claim", replaced(Some(&new), LENGTH, false), false),
        ("a new login after an unclear write", replaced(Some(&new), zero, true), false),
        ("our claim is still there", replaced(Some(&kept), zero, false), false),
        ("another's claim", replaced(Some(&theirs), zero, false), true),
    ] {
        assert_eq!(may_revoke(&replaced), expected, "{case}");
    }
}
