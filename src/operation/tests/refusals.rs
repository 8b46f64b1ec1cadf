//! Undocumented refusals, which are transient until confirmed.

use super::fixtures::*;
use crate::api::{Outcome, Reason};

fn unconfirmed<O: Kind>(mut story: Story<O>) -> Story<O> {
    story.observed.refusal_confirmed = false;
    story
}

#[test]
fn a_call_refused_by_a_gateway_fails_only_once_confirmed() {
    for (code, reason) in [
        (400, Reason::OperationNotAllowed),
        (403, Reason::AccessDenied),
        (404, Reason::NotFound),
        (422, Reason::RequestRejected),
    ] {
        let story = unconfirmed(rollback()).answered(Err(gateway(code))).settled();
        assert_eq!((story.reason(), story.outcome(), story.next()), (Reason::Retrying, None, Some(at(1))));
        assert_eq!(story.operation().unknown_attempts, 0, "{code}: a refusal has no effect");
        let mut story = story.answered(Err(gateway(code)));
        story.observed.refusal_confirmed = true;
        let story = story.waited();
        assert_eq!((story.reason(), story.outcome()), (reason, Some(Outcome::Failed)), "{code}");
    }
}

#[test]
fn a_read_before_the_call_refused_by_a_gateway_is_repeated() {
    for code in [403, 404] {
        let plain = rollback();
        let mut strict = rollback();
        strict.object.spec.preconditions =
            Some(crate::api::Preconditions { state: Some("built".to_owned()), executables: None });
        for story in [plain, strict] {
            let story = unconfirmed(story.reading_fails(gateway(code))).settled();
            assert_eq!((story.reason(), story.operation().attempts), (Reason::Retrying, 0), "{code}");
        }
    }
}

#[test]
fn a_verifying_read_refused_by_a_gateway_is_repeated() {
    for code in [403, 404] {
        let story = rollback().claimed(0).failed(500, 1).clock(10);
        let story = unconfirmed(story.reading_fails(gateway(code))).settled();
        assert_eq!((story.reason(), story.outcome()), (Reason::Verifying, None), "{code}");
        let story = restore().claimed(0).failed(500, 1).clock(10);
        let story = unconfirmed(story.reading_fails(gateway(code))).settled();
        assert_eq!((story.reason(), story.outcome()), (Reason::Verifying, None), "{code}");
    }
}

#[test]
fn a_404_of_a_gateway_neither_verifies_nor_ends_a_restore() {
    let story = unconfirmed(restore()).answered(Err(gateway(404))).settled();
    assert_eq!((story.reason(), story.reads, story.outcome()), (Reason::Retrying, 0, None));
    let story = unconfirmed(restore()).answered_then(Err(status(404)), Err(gateway(403))).settled();
    assert_eq!((story.reason(), story.outcome()), (Reason::Verifying, None));
}
