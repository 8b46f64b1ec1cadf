//! Uses bytes as a stored object. If they can be read, the operator decides on it, and the rules hold.
//!
//! The first two bytes select what happens, and the rest is JSON: `{"spec": …, "status": …, "metadata": …}`.

#![no_main]

#[path = "../client/hostile/life.rs"]
mod life;

use cde_operator::api::{ConnectorRestore, MigrationRollback};
use cde_operator::cde::model::{Connector, Failure, FailureKind, Field, Version};
use libfuzzer_sys::fuzz_target;
use life::{Reconciliation, run};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let [how, what, json @ ..] = bytes else { return };
    let Ok(object) = serde_json::from_slice::<Value>(json) else { return };
    let reconciliations = [
        reconciliation(*how, *what, 0),
        reconciliation(what.rotate_left(4), *how, 60),
        reconciliation(*how, !what, 90_000),
    ];
    if let Ok(object) = serde_json::from_value::<ConnectorRestore>(object.clone()) {
        run(object, &reconciliations);
    }
    if let Ok(object) = serde_json::from_value::<MigrationRollback>(object) {
        run(object, &reconciliations);
    }
});

fn reconciliation(how: u8, what: u8, later: u32) -> Reconciliation {
    let is = |bit: u8| how & (1 << bit) > 0;
    let code = [200, 400, 401, 403, 404, 409, 423, 429, 500, 503, 504, 302][usize::from(what) % 12];
    let failure = Failure {
        kind: FailureKind::Status { code, from_api: is(0) },
        message: "message".to_owned(),
        retry_at: is(1).then(life::start_time),
    };
    let ids = [Field::Missing, Field::Null, Field::Value(24), Field::Value(25)];
    let version = Version {
        version: Field::Value("1.0.0".to_owned()),
        state: Field::Value(if is(2) { "synchronized-to-prod" } else { "moving" }.to_owned()),
        deleted_at: Field::Null,
        legacy_executable: ids[usize::from(what >> 4) % 4].clone(),
        production_executable: ids[usize::from(what >> 6)].clone(),
        production_platform_connector: Field::Null,
        ..Version::default()
    };
    let connector = Connector {
        id: Field::Value("497f6eca-6276-4993-bfeb-53cbbbba6f08".to_owned()),
        main_version_number: Field::Value(1),
        versions: Field::Value(vec![version]),
        ..Connector::default()
    };
    Reconciliation {
        later,
        seen_for: if is(3) { 4000 } else { 0 },
        calls_held: is(4) && is(5),
        waits: is(4) && is(6),
        refusal_confirmed: is(1),
        token_changed: is(5),
        reading: if is(6) { Err(failure.clone()) } else { Ok(connector) },
        answer: is(7).then_some(Err(failure)),
    }
}
