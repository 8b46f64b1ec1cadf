//! Metrics, dashboard and alerts of an operator in login mode.

use std::time::Duration;

use cde_harness::{LoginEnv, Operator};
use cde_operator::oauth::Login;

use crate::monitoring::dashboard::{DASHBOARD, filled, panels};
use crate::monitoring::names::{LOGIN_MODE, Metrics, documented, plain, served};
use crate::monitoring::prometheus::{Prometheus, holds, promtool, said};
use crate::monitoring::repository::{field, items, yaml};
use crate::tools::tools;

/// The access tokens live for seconds, so that there are refreshes to show.
const LIFETIME: Duration = Duration::from_secs(4);

/// Returns an environment whose Secret is empty, and its operator.
async fn logged_out() -> (LoginEnv, Operator) {
    tools().await;
    let login = LoginEnv::new(LIFETIME).await;
    login.store(&Login::default()).await;
    let operator = login.env.start(login.flags().without_readiness_wait()).await;
    (login, operator)
}

#[tokio::test]
async fn the_metrics_of_the_login_mode_have_the_documented_labels_and_types() {
    let (login, mut operator) = logged_out().await;
    login.log_in().await;
    login.refreshed(1).await;

    let (code, metrics) = operator.probe("/metrics").await.unwrap();

    assert_eq!(code, 200, "{metrics}");
    let metrics = plain(&metrics);
    let checked = promtool(&["check", "metrics"], login.env.scratch.path(), &metrics).await;
    assert!(checked.status.success() && said(&checked).is_empty(), "{}\n{metrics}", said(&checked));
    let of_the_login = |all: Metrics| -> Metrics {
        all.into_iter().filter(|(name, _)| LOGIN_MODE.contains(&name.as_str())).collect()
    };
    let served = of_the_login(served(&metrics));
    assert_eq!(served.len(), LOGIN_MODE.len(), "{served:?}");
    assert_eq!(served, of_the_login(documented()));
}

#[tokio::test]
async fn an_empty_secret_fires_the_alert_until_a_login_which_the_dashboard_shows() {
    let (login, operator) = logged_out().await;
    let prometheus = Prometheus::start(&login.env, &operator).await;
    let alert = r#"ALERTS{alertname="CdeOperatorLoginRequired",namespace="operators",severity="critical",alertstate="firing"}"#;
    prometheus.until(alert, holds).await;

    login.log_in().await;

    prometheus.until(alert, <[f64]>::is_empty).await;
    login.refreshed(2).await;
    let dashboard = yaml(DASHBOARD);
    let queries = panels(&dashboard).flat_map(|panel| items(&panel["targets"]));
    let queries = queries.map(|target| filled(field(target, "expr")));
    let queries: Vec<String> =
        queries.filter(|query| LOGIN_MODE.iter().any(|name| query.contains(name))).collect();
    for name in LOGIN_MODE {
        assert!(queries.iter().any(|query| query.contains(name)), "no panel shows {name}");
    }
    for query in &queries {
        prometheus.until(query, |values| !values.is_empty()).await;
    }
    let refreshed = r#"cde_operator_credential_refreshes_total{result="refreshed"}"#;
    prometheus.until(refreshed, |values| values.iter().all(|count| *count >= 2.0)).await;
}
