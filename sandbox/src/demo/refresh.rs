//! The refresh of the access token while the demo runs, and whether it disturbed a call.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use cde_sandbox::authorization_server::Statistics;
use cde_sandbox::control_plane::{ControlPlane, OPERATOR_NAMESPACE};
use cde_sandbox::table;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tokio::time::Instant;

use super::NAMESPACE;
use super::environment::Environment;
use super::ledger::Ledger;
use super::login::{LIFETIME, SECRET};
use super::sample::MISTYPED;
use super::terminal::{heading, say};

/// The refresh is due at 85 % of the lifetime at the latest, and a busy machine may need a second attempt.
const LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);
const HEADER: [&str; 5] =
    ["TOKEN REFRESHES", "REFUSED", "CALLS BEFORE", "CALLS AFTER", "CALLS WITHOUT A VALID TOKEN"];

/// Waits until the operator uses a refreshed token. This takes no time if it has refreshed the token already.
///
/// # Errors
/// If the operator does not refresh the token in time.
pub(crate) async fn wait(environment: &Environment) -> Result<()> {
    let lifetime = LIFETIME.as_secs();
    let (first, last) = (lifetime * 75 / 100, lifetime * 85 / 100);
    heading(&format!("Refresh of the access token, due {first} to {last} s after the login"));
    let begin = Instant::now();
    while refreshes(&environment.operator.metrics().await?) == 0 {
        if begin.elapsed() > LIMIT {
            bail!("the operator did not refresh the access token within {} s", LIMIT.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
    let waited = begin.elapsed().as_secs_f32();
    say(&format!("The operator has refreshed the access token (the demo waited {waited:.1} s for it)."));
    Ok(())
}

/// Returns the operator's own count, which it increases when the new token is stored.
fn refreshes(metrics: &str) -> u64 {
    let name = "cde_operator_credential_refreshes_total{result=\"refreshed\"} ";
    let value = metrics.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.parse().ok()).unwrap_or_default()
}

/// Retries a failed request, so that at least one call uses the refreshed token, and waits for its result.
///
/// # Errors
/// If kubectl fails, or there is no result in time.
pub(crate) async fn retry(control_plane: &ControlPlane) -> Result<()> {
    let now = format!("{:.0}", Timestamp::now());
    let annotation = format!("cde.productsup.com/retry={now}");
    let annotate = ["annotate", "crst", MISTYPED, "-n", NAMESPACE, &annotation];
    say(&format!("$ kubectl {}", annotate.join(" ")));
    say(control_plane.kubectl_ok(&annotate, "").await?.trim_end());
    for state in [format!("{{.status.lastHandledRetry}}={now}"), "{.status.outcome}=Failed".to_owned()] {
        let condition = format!("--for=jsonpath={state}");
        let wait = ["wait", "crst", MISTYPED, "-n", NAMESPACE, &condition, "--timeout=30s"];
        control_plane.kubectl_ok(&wait, "").await?;
    }
    Ok(())
}

/// The refreshes, as the authorization server and the CDE sandbox saw them.
pub(crate) struct Refreshes {
    statistics: Statistics,
    calls_before: usize,
    calls_after: usize,
    unauthorized: usize,
}

impl Refreshes {
    /// Compares the ledger with the time of the newest refresh.
    ///
    /// # Errors
    /// If the authorization server or the API server does not respond.
    pub(crate) async fn read(environment: &Environment, ledger: &Ledger) -> Result<Self> {
        let secrets: Api<Secret> =
            Api::namespaced(environment.control_plane.admin().await?, OPERATOR_NAMESPACE);
        let data = secrets.get(SECRET).await?.data.unwrap_or_default();
        let obtained_at = data.get("obtained_at").context("the Secret of the login has no obtained_at")?;
        let obtained_at: Timestamp = std::str::from_utf8(&obtained_at.0)?.parse()?;
        let calls_after = ledger.since(obtained_at);
        Ok(Self {
            statistics: environment.server.statistics().await?,
            calls_before: ledger.total() - calls_after,
            calls_after,
            unauthorized: ledger.unauthorized(),
        })
    }

    /// Prints a table, and returns its lines.
    pub(crate) fn show(&self) -> Vec<String> {
        heading(&format!(
            "The login: access tokens live {} s, and the operator refreshes them",
            LIFETIME.as_secs()
        ));
        let row = [
            self.statistics.refreshes.to_string(),
            self.statistics.refreshes_refused.to_string(),
            self.calls_before.to_string(),
            self.calls_after.to_string(),
            self.unauthorized.to_string(),
        ];
        let table = table::render(HEADER, [row]);
        say(&table.join("\n"));
        table
    }

    /// Returns what differs from a refresh that nobody notices.
    pub(crate) fn problems(&self) -> Vec<String> {
        let Self { statistics, calls_after, unauthorized, .. } = self;
        [
            (statistics.refreshes == 0, "The access token was not refreshed.".to_owned()),
            (*calls_after == 0, "No call was made after the refresh of the access token.".to_owned()),
            (
                statistics.refreshes_refused > 0,
                format!("The authorization server refused {} refreshes.", statistics.refreshes_refused),
            ),
            (*unauthorized > 0, format!("{unauthorized} calls had no valid access token.")),
        ]
        .into_iter()
        .filter_map(|(applies, problem)| applies.then_some(problem))
        .collect()
    }

    /// Returns a sentence for the case that there are no problems.
    pub(crate) fn sentence(&self) -> String {
        let times = match self.statistics.refreshes {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        format!("The access token was refreshed {times} meanwhile, and no call failed because of its token.")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on unexpected results")]

    use super::*;
    use cde_sandbox::program::workspace;

    fn refreshes_of(statistics: Statistics, calls_after: usize, unauthorized: usize) -> Refreshes {
        Refreshes { statistics, calls_before: 9, calls_after, unauthorized }
    }

    #[test]
    fn only_a_refresh_that_disturbed_no_call_is_no_problem() {
        let once = Statistics { refreshes: 1, ..Statistics::default() };
        let refused = Statistics { refreshes_refused: 2, ..once };
        for (refreshes, problems) in [
            (refreshes_of(once, 1, 0), &[][..]),
            (refreshes_of(Statistics::default(), 1, 0), &["The access token was not refreshed."]),
            (refreshes_of(once, 0, 0), &["No call was made after the refresh of the access token."]),
            (
                refreshes_of(refused, 1, 3),
                &["The authorization server refused 2 refreshes.", "3 calls had no valid access token."],
            ),
        ] {
            assert_eq!(refreshes.problems(), problems);
        }
    }

    #[test]
    fn the_recording_in_the_readme_shows_the_refresh() {
        let svg = std::fs::read_to_string(workspace().join("docs/demo.svg")).unwrap();
        assert!(svg.contains(HEADER.join("  ").as_str()), "run cargo demo --svg docs/demo.svg");
    }

    #[test]
    fn the_refreshes_are_read_from_the_metrics_of_the_operator() {
        let metrics = "cde_operator_credential_refreshes_total{result=\"unknown\"} 3\n\
                       cde_operator_credential_refreshes_total{result=\"refreshed\"} 2\n";
        assert_eq!((refreshes(metrics), refreshes("")), (2, 0));
    }
}
