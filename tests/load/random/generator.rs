//! Generates a script from a seed and a length. The same two always give the same script.
//!
//! Four kinds of actors (people, the CDE API, the way to the API server, processes) each have a clock of their own and
//! a weighted table of what they do.

use std::time::Duration;

use cde_sandbox::cde::{
    Access, Connector, CutPoint, Fault, Operation, RepeatedRollback, RollbackEffect, Version,
};
use cde_sandbox::proxy::Point;
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use uuid::{Builder, Uuid};

use crate::random::script::{Act, ApiAct, CUTS, CdeAct, PersonAct, ProcessAct, Script, Subject, Timed};
use cde_harness::Kind;

/// Operators have started by then, in milliseconds.
const BEGIN: u64 = 1_500;
/// The longest that the CDE API works on a call, in milliseconds: a claim outlasts it.
const SLOW: u64 = 2_500;
/// People choose among this many of the newest objects.
const RECENT: usize = 16;

/// Generates the script of `seed` with faults of this length.
pub(crate) fn generate(seed: u64, length: Duration) -> Script {
    let mut rng = StdRng::seed_from_u64(seed);
    let operators = if rng.random_bool(0.3) { 3 } else { 2 };
    let script =
        Script { seed, length, operators, connectors: Vec::new(), objects: Vec::new(), acts: Vec::new() };
    let mut generator = Generator { rng, script, now: 0 };
    generator.during(BEGIN, 40..120, Generator::people);
    generator.during(BEGIN, 150..500, Generator::cde);
    for operator in 0..operators {
        generator.during(0, 400..1_400, |g| g.api_server(operator));
        generator.during(BEGIN, 2_000..6_000, |g| g.process(operator));
    }
    let mut script = generator.script;
    script.acts.sort_by_key(|timed| timed.at);
    script
}

struct Generator {
    rng: StdRng,
    script: Script,
    /// Milliseconds since the start.
    now: u64,
}

impl Generator {
    /// Lets an actor act, at intervals in this range, until the faults end.
    fn during(&mut self, begin: u64, every: std::ops::Range<u64>, mut act: impl FnMut(&mut Self)) {
        self.now = begin;
        while u128::from(self.now) < self.script.length.as_millis() {
            act(self);
            self.now += self.rng.random_range(every.clone());
        }
    }

    fn note(&mut self, after: u64, act: Act) {
        self.script.acts.push(Timed { at: Duration::from_millis(self.now + after), act });
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_ratio(percent, 100)
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        self.rng.random_range(least..=most)
    }

    fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.rng.random_range(0..all.len())].clone()
    }

    /// Returns one of the newest of `count` items.
    fn recent(&mut self, count: usize) -> usize {
        self.rng.random_range(count.saturating_sub(RECENT)..count)
    }

    // People.

    fn people(&mut self) {
        if self.script.objects.is_empty() || self.chance(55) {
            return self.create();
        }
        let object = self.recent(self.script.objects.len());
        let act = match self.between(0, 99) {
            0..20 => PersonAct::Suspend(true),
            20..45 => PersonAct::Suspend(false),
            45..70 => PersonAct::Retry,
            70..78 => PersonAct::Delete,
            78..86 => {
                self.note(0, Act::People(object, PersonAct::Delete));
                let after = self.between(1, 300);
                let recreated = PersonAct::Create {
                    suspend: false,
                    deadline: None,
                    not_after: None,
                    preconditions: false,
                };
                return self.note(after, Act::People(object, recreated));
            }
            86..93 => PersonAct::Deadline(self.rng.random_range(1..40)),
            _ => PersonAct::NotAfter(self.one_of(&[-5, 1, 2, 4, 8, 3_600])),
        };
        self.note(0, Act::People(object, act));
    }

    fn create(&mut self) {
        let kind = if self.chance(60) { Kind::Rollback } else { Kind::Restore };
        let shared = !self.script.connectors.is_empty() && self.chance(20);
        let connector = if shared {
            let number = self.recent(self.script.connectors.len());
            self.script.connectors[number].id
        } else {
            self.connector(kind)
        };
        let faults = self.one_of(&[0, 0, 1, 1, 2]);
        for _ in 0..faults {
            let fault = self.fault();
            self.note(0, Act::Cde(CdeAct::Inject(Box::new(fault), Some(connector))));
        }
        let object = self.script.objects.len();
        let version = self.one_of(&["main", "main", "latest", "1", "7"]);
        let name = format!("o{object}");
        self.script.objects.push(Subject { kind, name, connector, version });
        let act = PersonAct::Create {
            suspend: self.chance(5),
            deadline: self.chance(10).then(|| self.rng.random_range(1..30)),
            not_after: self.chance(10).then(|| self.one_of(&[-172_800, -10, 2, 5, 10])),
            preconditions: kind == Kind::Rollback && self.chance(10),
        };
        self.note(1, Act::People(object, act));
    }

    /// Returns a connector with which an object of this kind would succeed.
    fn connector(&mut self, kind: Kind) -> Uuid {
        let id = Builder::from_random_bytes(self.rng.random()).into_uuid();
        let mut version = Version::new("1.0.0").state("synchronized-to-prod").production(25, 5).legacy(24);
        (version.created_at, version.updated_at) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let mut connector = Connector::live(id).version(version).main(1);
        connector.in_bin = kind == Kind::Restore;
        connector.readable_in_bin = self.chance(30);
        connector.access = match self.between(0, 99) {
            0..12 => Access::ReadingForbidden,
            12..14 => Access::Forbidden,
            _ => Access::Open,
        };
        connector.rollback = match self.between(0, 99) {
            0..60 => RollbackEffect::Swap,
            60..80 => RollbackEffect::ToLegacy,
            80..87 => RollbackEffect::StateOnly,
            87..93 => RollbackEffect::Invisible,
            _ => RollbackEffect::Moving,
        };
        let refuses = self.chance(40);
        connector.repeated_rollback =
            if refuses { RepeatedRollback::Refused } else { RepeatedRollback::AnotherEffect };
        self.script.connectors.push(connector);
        id
    }

    // The CDE API.

    fn cde(&mut self) {
        match self.between(0, 99) {
            0..60 if !self.script.connectors.is_empty() => {
                let number = self.rng.random_range(0..self.script.connectors.len());
                let (id, fault) = (self.script.connectors[number].id, self.fault());
                self.note(0, Act::Cde(CdeAct::Inject(Box::new(fault), Some(id))));
            }
            60..82 => {
                let times = self.rng.random_range(1..4);
                let fault = self.fault().times(times);
                self.note(0, Act::Cde(CdeAct::Inject(Box::new(fault), None)));
            }
            82..88 => {
                self.note(0, Act::Cde(CdeAct::Down));
                let after = self.between(200, 2_500);
                self.note(after, Act::Cde(CdeAct::Up));
            }
            88..93 => {
                let told_after = self.millis(0, 2_000);
                self.note(0, Act::Cde(CdeAct::ReplaceToken { told_after }));
            }
            _ => {
                let moving = |one: &&Connector| one.rollback == RollbackEffect::Moving;
                let moving: Vec<Uuid> =
                    self.script.connectors.iter().filter(moving).map(|one| one.id).collect();
                for id in moving {
                    self.note(0, Act::Cde(CdeAct::Settle(id)));
                }
            }
        }
    }

    fn fault(&mut self) -> Fault {
        match self.between(0, 99) {
            0..30 => self.refusal(Operation::Changing),
            30..48 => self.lost_without_effect(),
            48..78 => self.lost_after_effect(),
            _ => self.bad_reading(),
        }
    }

    /// Returns a response that says, correctly, that there was no effect.
    fn refusal(&mut self, operation: Operation) -> Fault {
        let on = Fault::on(operation);
        let fault = match self.between(0, 13) {
            0 | 1 => on.answer(400).set("/message", json!("Transition is not allowed, entity is busy.")),
            2 => on.answer(400),
            3 => on.answer(403),
            4 => on.answer(404),
            5 => on.answer(422),
            6 => on.answer(401),
            7 => {
                let status = self.one_of(&[400, 403, 404, 413]);
                on.answer(status).html()
            }
            8 | 9 => on.answer(423),
            10 => on.answer(425),
            _ => on.answer(429),
        };
        self.asks_to_wait(fault)
    }

    fn asks_to_wait(&mut self, fault: Fault) -> Fault {
        let later = self.between(0, 3);
        match self.between(0, 5) {
            0 | 1 => fault.header("retry-after", later.to_string()),
            2 => fault.header("retry-after", "soon"),
            _ => fault,
        }
    }

    /// Returns a response that leaves the effect unknown, and there was none.
    fn lost_without_effect(&mut self) -> Fault {
        let on = Fault::on(Operation::Changing);
        let fault = match self.between(0, 8) {
            0 => on.cut(CutPoint::BeforeHeaders),
            1 | 2 => on.hang(),
            3 => on.answer(307).header("location", "http://127.0.0.1:9/"),
            _ => {
                let status = self.one_of(&[408, 409, 500, 502, 503, 504, 520]);
                on.answer(status)
            }
        };
        self.asks_to_wait(fault)
    }

    /// Returns a response that leaves the effect unknown, and there was one, perhaps late.
    fn lost_after_effect(&mut self) -> Fault {
        let on = Fault::on(Operation::Changing);
        let slow = self.millis(0, SLOW);
        match self.between(0, 13) {
            0..3 => {
                let point = self.one_of(&CUTS);
                on.after_effect().cut(point)
            }
            3 => on.after_effect().hang(),
            4 => on.after_effect().html(),
            5 => on.after_effect().empty(),
            6 => on.after_effect().truncated_json(),
            7 => on.after_effect().drip(Duration::from_millis(5)),
            8 | 9 => on.delay(slow),
            10 => on.after_effect().without_data(),
            11 => on.after_effect().wrong_types(),
            _ => {
                let status = self.one_of(&[408, 409, 500, 502, 503, 504, 520]);
                on.after_effect().answer(status).delay(slow)
            }
        }
    }

    fn bad_reading(&mut self) -> Fault {
        let on = Fault::on(Operation::Read);
        let times = self.rng.random_range(1..4);
        let fault = match self.between(0, 11) {
            0 => on.hang(),
            1 => {
                let point = self.one_of(&CUTS);
                on.cut(point)
            }
            2 => on.html(),
            3 => on.truncated_json(),
            4 => on.wrong_types(),
            5 => on.without_data(),
            6 => on.drip(Duration::from_millis(5)),
            7 => on.delay(self.millis(0, SLOW)),
            8 => self.refusal(Operation::Read),
            _ => {
                let status = self.one_of(&[409, 500, 502, 503, 504]);
                on.answer(status)
            }
        };
        fault.times(times)
    }

    // The way to the API server, and processes.

    fn api_server(&mut self, operator: usize) {
        let point = self.one_of(&[Point::BeforeForward, Point::BeforeReply]);
        let times = self.rng.random_range(1..4);
        let cut = self.chance(30);
        let act = match self.between(0, 99) {
            0..30 => ApiAct::Answer { status: self.one_of(&[409, 429, 500, 503, 504]), point, times },
            30..42 => ApiAct::Cut { all: false, point, times },
            42..48 => ApiAct::Cut { all: true, point, times },
            48..66 => ApiAct::Hold { claim: self.chance(30), point, length: self.millis(50, 1_500), cut },
            66..78 => {
                let (claim, point) = (self.chance(60), Point::BeforeForward);
                ApiAct::Hold { claim, point, length: self.millis(3_000, 9_000), cut }
            }
            78..84 => ApiAct::CutWatches,
            84..88 => ApiAct::ExpireWatches,
            88..94 => ApiAct::DeafWatches { length: self.millis(200, 4_000) },
            _ => ApiAct::Pause { length: self.millis(100, 2_000) },
        };
        self.note(0, Act::ApiServer(operator, act));
    }

    fn process(&mut self, operator: usize) {
        let (restart, renamed) = (self.millis(0, 1_500), self.chance(50));
        let act = match self.between(0, 99) {
            0..38 => ProcessAct::Kill { restart, renamed },
            38..58 => ProcessAct::Terminate { restart, renamed },
            // Longer than the claim.
            58..78 => ProcessAct::Freeze { length: self.millis(6_500, 9_000), at_claim: true },
            _ => ProcessAct::Freeze { length: self.millis(300, 8_000), at_claim: self.chance(40) },
        };
        self.note(0, Act::Process(operator, act));
    }
}
