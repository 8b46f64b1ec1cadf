//! The smoke test of the installation guide, under the alerts.

use cde_sandbox::cde::new_id;

use crate::monitoring::fixture::fast_retries;
use crate::monitoring::prometheus::{Prometheus, holds};
use crate::monitoring::repository::text;
use crate::tools::test_env;
use cde_harness::{Kind, rollback};

#[tokio::test]
async fn the_smoke_test_fires_no_alert_and_leaves_nothing_behind() {
    let env = test_env().await;
    let operator = env.start(fast_retries().env("CDE_LEADER_ELECTION", "true")).await;
    let prometheus = Prometheus::start(&env, &operator).await;

    let page = text("docs/install.md");
    let (_, rest) = page.split_once("apply -f - <<'END'\n").unwrap();
    let (manifest, rest) = rest.split_once("\nEND\n").unwrap();
    env.kubectl(&["apply", "--validate=strict", "-f", "-"], manifest).await;
    let commands: Vec<&str> = rest.lines().take_while(|line| *line != "```").collect();
    assert_eq!(commands.len(), 3, "{commands:?}");
    for command in commands {
        let command = command.strip_prefix("kubectl -n \"$NAMESPACE\" ").unwrap().replace('\'', "");
        env.kubectl(&command.split(' ').collect::<Vec<_>>(), "").await;
    }
    assert_eq!(env.kubectl(&["get", "cde", "-o", "name"], "").await, "");
    assert!(env.sandbox.ledger().calls().is_empty(), "it called the CDE API");

    // A request that fails shows that Prometheus has evaluated the alerts since then.
    env.apply(&rollback("missing", new_id(), "1")).await;
    env.wait_for_reason(Kind::Rollback, "missing", "NotFound").await;
    let failed = r#"ALERTS{alertname="CdeRequestFailed",kind="MigrationRollback",alertstate="firing"}"#;
    prometheus.until(failed, holds).await;
    assert_eq!(prometheus.values(r#"ALERTS{kind="ConnectorRestore"}"#).await, [0.0; 0]);
    assert_eq!(prometheus.values("count(ALERTS)").await, [1.0]);
}
