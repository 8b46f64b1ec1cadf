//! No write follows unless something changes, in every combination of the situations below.

use super::fixtures::*;
use crate::cde::model::{Connector, Failure};
use crate::operation::Step;

/// The past of the request.
fn pasts<O: Kind>(new: &Story<O>) -> Vec<Story<O>> {
    let failures = [
        not_sent(),
        no_answer(),
        unreadable(),
        status(400),
        status(401),
        status(404),
        asking(600, status(429)),
        status(500),
        status(502),
        asking(90, status(503)),
    ];
    let once = failures.iter().map(|failure| new.clone().claimed(0).failing(failure, 5));
    let twice =
        failures.iter().map(|failure| new.clone().claimed(0).failed(500, 5).claimed(10).failing(failure, 15));
    let begun = [new.clone(), new.clone().claimed(0), new.clone().claimed(0).succeeded(2)];
    begun.into_iter().chain(once).chain(twice).collect()
}

/// The present situation.
fn presents<O: Kind>(past: &Story<O>) -> Vec<Story<O>> {
    let mut all = vec![past.clone()];
    let changes: [fn(Story<O>) -> Story<O>; 9] = [
        |story| story.suspended(),
        |story| story.held(),
        |story| story.behind("another"),
        |story| story.edited(),
        |story| story.retry_asked(16),
        |story| story.being_deleted(),
        |story| story.not_after(18),
        |story| story.elsewhere(),
        |story| story.taken_over(),
    ];
    for (index, change) in changes.iter().enumerate() {
        all.push(change(past.clone()));
        all.extend(changes[index + 1..].iter().map(|other| other(change(past.clone()))));
    }
    all
}

fn readings() -> Vec<Result<Connector, Failure>> {
    vec![
        Ok(connector()),
        Ok(in_the_bin()),
        Ok(connector().state("resynchronizing-to-prod")),
        Ok(connector().state("built")),
        Ok(versions([])),
        Err(status(403)),
        Err(status(500)),
        Err(status(401)),
    ]
}

/// Runs each combination until it waits, and decides again.
fn stays_quiet<O: Kind>(new: &Story<O>) -> usize {
    let mut tried = 0;
    for present in pasts(new).iter().flat_map(presents) {
        for reading in readings() {
            for second in [20, 100, 4000] {
                let mut story = present.clone().clock(second);
                story.reading = reading.clone();
                tried += 1;
                settle(&mut story);
            }
        }
    }
    tried
}

fn settle<O: Kind>(story: &mut Story<O>) {
    let (mut writes, mut reads) = (0, 0);
    loop {
        match story.decide() {
            Step::Write(status) => {
                writes += 1;
                story.store(*status);
            }
            // Calls are not tested here.
            Step::Claim(_) | Step::Rest | Step::NotOurs { .. } => return,
            Step::Read => {
                reads += 1;
                story.observed.reading = Some(story.reading.clone());
            }
            Step::Wait(_) | Step::Hold(_) => break,
        }
        // A rejected token holds all calls until it changes.
        story.observed.on_hold |= story.status_code() == Some(401);
        assert!(writes <= 2 && reads <= 3, "{writes} writes, {reads} reads: {:#?}", story.object.status());
    }
    let resting = story.object.status().cloned();
    for _ in 0..3 {
        match story.decide() {
            Step::Wait(_) | Step::Hold(_) => {}
            Step::Read => story.observed.reading = Some(story.reading.clone()),
            step => panic!("{step:#?}\nafter {resting:#?}"),
        }
    }
}

impl<O: Kind> Story<O> {
    fn status_code(&self) -> Option<u16> {
        self.observed.reading.as_ref().and_then(|reading| reading.as_ref().err()).and_then(Failure::code)
    }
}

#[test]
fn a_rollback_writes_nothing_when_nothing_changes() {
    assert!(stays_quiet(&rollback()) > 20_000);
}

#[test]
fn a_restore_writes_nothing_when_nothing_changes() {
    assert!(stays_quiet(&restore()) > 20_000);
}
