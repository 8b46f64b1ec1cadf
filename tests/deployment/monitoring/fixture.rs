//! An environment in which every metric, alert and panel has something to show.

use cde_sandbox::cde::{Connector, Fault, Operation, Sandbox, Version, new_id};
use serde_json::json;
use uuid::Uuid;

use cde_harness::{Flags, Kind, Manifest, Operator, TestEnv, restore, rollback};

/// Returns a rollback that succeeds.
pub(crate) fn a_rollback(sandbox: &Sandbox, name: &str) -> (Manifest, Uuid) {
    let id = new_id();
    sandbox.put(Connector::migrated(id));
    (rollback(name, id, "main"), id)
}

/// Returns a restore that succeeds.
pub(crate) fn a_restore(sandbox: &Sandbox, name: &str) -> (Manifest, Uuid) {
    let id = new_id();
    sandbox.put(Connector::in_bin(id).version(Version::default()));
    (restore(name, id), id)
}

/// Returns flags with fast retries.
pub(crate) fn fast_retries() -> Flags {
    Flags::default().with("--retry-min", "200ms").with("--retry-max", "1s")
}

/// Creates requests with each result in an environment with a running operator: succeeded, failed, suspended, of
/// unknown outcome, and `waits`, which is refused forever for temporary reasons. Returns the connector of `waits`.
pub(crate) async fn populate(env: &TestEnv) -> Uuid {
    let sandbox = &env.sandbox;
    let (done, _) = a_rollback(sandbox, "done");
    let (back, _) = a_restore(sandbox, "back");
    let (suspended, _) = a_restore(sandbox, "suspended");
    let (unknown, lost) = a_rollback(sandbox, "unknown");
    let (waits, id) = a_rollback(sandbox, "waits");
    // The response is lost, and reading is refused.
    sandbox.inject(Fault::on(Operation::Changing).connector(lost).answer(500));
    sandbox.inject(Fault::on(Operation::Read).connector(lost).skip(1).answer(403).always());
    sandbox.inject(Fault::on(Operation::Changing).connector(id).answer(423).always());
    // One response comes from a gateway.
    let forbidden = Fault::on(Operation::Read).connector(id).answer(403).set("/message", json!("Forbidden"));
    sandbox.inject(forbidden);
    let missing = rollback("missing", new_id(), "1");
    env.apply_all([done, back, suspended.spec("suspend", true), unknown, waits, missing]).await;
    for (kind, name, reason) in [
        (Kind::Rollback, "done", "RolledBack"),
        (Kind::Restore, "back", "Restored"),
        (Kind::Restore, "suspended", "Suspended"),
        (Kind::Rollback, "unknown", "OutcomeUnknown"),
        (Kind::Rollback, "missing", "NotFound"),
        (Kind::Rollback, "waits", "Retrying"),
    ] {
        env.wait_for_reason(kind, name, reason).await;
    }
    id
}

/// Makes the CDE API ask all calls to wait for ten minutes.
pub(crate) async fn pause(env: &TestEnv, operator: &Operator, id: Uuid) {
    let limits = Fault::on(Operation::Read).connector(id).answer(429).header("retry-after", "600");
    env.sandbox.inject(limits.always());
    operator.wait_for_log("rate limited by the CDE API").await;
}
