//! Uses bytes as the response to a call. Whatever they are, the operator classifies and applies them, and the rules
//! hold.
//!
//! The first two bytes are the status, the third selects what else happens, and the rest is the body.

#![no_main]

mod cde;
#[path = "../client/hostile/life.rs"]
mod life;

use cde_operator::api::{ConnectorRestore, MigrationRollback};
use libfuzzer_sys::fuzz_target;
use life::{Reconciliation, run};
use serde_json::json;

fuzz_target!(|bytes: &[u8]| {
    let [low, high, how, body @ ..] = bytes else { return };
    let code = 200 + u16::from_le_bytes([*low, *high]) % 400;
    let reconciliation = |later, version, code, body| Reconciliation {
        later,
        seen_for: 4000,
        calls_held: false,
        waits: false,
        refusal_confirmed: true,
        token_changed: how & 1 > 0,
        reading: cde::reading(if how & 2 > 0 { 200 } else { code }, body),
        answer: Some(cde::answer(code, body, version)),
    };
    for version in [false, true] {
        let reconciliations =
            [reconciliation(1, version, code, body), reconciliation(4000, version, code, body)];
        run::<ConnectorRestore>(
            serde_json::from_value(request("ConnectorRestore")).unwrap(),
            &reconciliations,
        );
        run::<MigrationRollback>(
            serde_json::from_value(request("MigrationRollback")).unwrap(),
            &reconciliations,
        );
    }
});

fn request(kind: &str) -> serde_json::Value {
    json!({
        "apiVersion": "cde.productsup.com/v1alpha1", "kind": kind,
        "metadata": {"name": "a", "namespace": "b", "uid": "c", "generation": 1,
            "creationTimestamp": "2026-11-18T11:06:40Z"},
        "spec": {"connectorID": "497f6eca-6276-4993-bfeb-53cbbbba6f08", "version": "main",
            "notAfter": "2026-12-30T00:00:00Z"},
    })
}
