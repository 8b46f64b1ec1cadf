//! `kubectl cde whoami`: shows whether there is a login, and no token.

use std::fmt::Write as _;
use std::process::ExitCode;

use cde_operator::oauth::{Claim, Login};
use cde_operator::runtime::clock;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::print;
use crate::cli::{KubernetesArgs, Output, WhoamiArgs};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::login_secret::LoginSecret;
use crate::settings::{Setting, Settings};

/// Whether the operator can work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// The access token is valid, as far as the Secret says.
    Valid,
    /// The access token has expired, and a refresh is under way.
    Refreshing,
    /// The access token has expired.
    Expired,
    /// There is no login.
    None,
}

/// What the command shows, and the object of `-o json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    context: String,
    namespace: String,
    secret: String,
    authorization_server: Option<String>,
    state: State,
    login_required: bool,
    /// Whether there is a refresh token.
    refreshable: bool,
    obtained_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    /// The refresh under way.
    refresh: Option<Claim>,
}

pub(super) async fn run(kubernetes: &KubernetesArgs, args: &WhoamiArgs) -> Result<ExitCode, Error> {
    let cluster = Cluster::new(kubernetes).await?;
    let given =
        [(Setting::Secret, &args.secret.secret), (Setting::AuthorizationUrl, &args.authorization_url)];
    let settings = Settings::read(&given, Some(&cluster), args.secret.operator.as_deref()).await?;
    let name = settings.required(Setting::Secret)?;
    let stored = LoginSecret::new(&cluster, name).read().await?;
    let login = stored.map(|stored| stored.login).unwrap_or_default();
    let now = clock::now();
    let state = state(&login, now);
    let server = settings.optional_url(Setting::AuthorizationUrl)?;
    let report = Report {
        context: cluster.context.clone(),
        namespace: cluster.namespace.clone(),
        secret: name.to_owned(),
        authorization_server: server.map(|url| url.url().origin().ascii_serialization()),
        state,
        login_required: matches!(state, State::Expired | State::None),
        refreshable: login.refresh_token.is_some(),
        obtained_at: login.obtained_at,
        expires_at: login.expires_at,
        refresh: login.claim,
    };
    match args.output {
        Output::Text => print(text(&report, now))?,
        Output::Json => {
            let json = serde_json::to_string_pretty(&report);
            print(json.map_err(|error| Error::Usage(error.to_string()))? + "\n")?;
        }
    }
    Ok(ExitCode::from(u8::from(report.login_required)))
}

fn state(login: &Login, now: Timestamp) -> State {
    let is_refreshing =
        login.refresh_token.is_some() && login.claim.as_ref().is_some_and(|claim| claim.until > now);
    if login.access_token.is_some() && login.expires_at.is_none_or(|end| end > now) {
        State::Valid
    } else if is_refreshing {
        State::Refreshing
    } else if login.access_token.is_some() || login.refresh_token.is_some() {
        State::Expired
    } else {
        State::None
    }
}

fn text(report: &Report, now: Timestamp) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{:<23}{value}", format!("{name}:"));
    };
    line("Context", &report.context);
    line("Namespace", &report.namespace);
    line("Secret", &report.secret);
    line("Authorization server", report.authorization_server.as_deref().unwrap_or("unknown"));
    line("Login", summary(report));
    if let Some(at) = report.obtained_at {
        line("Token obtained", &distance(at, now));
    }
    match (report.state, report.expires_at) {
        (State::None, _) => {}
        (_, Some(at)) if at > now => line("Token valid until", &distance(at, now)),
        (_, Some(at)) => line("Token expired", &distance(at, now)),
        (_, None) => line("Token valid until", "unknown"),
    }
    if let Some(claim) = &report.refresh {
        line(
            "Refresh under way",
            &format!("by {}, until {} at the latest", claim.holder, distance(claim.until, now)),
        );
    }
    text
}

const fn summary(report: &Report) -> &'static str {
    match (report.state, report.refreshable) {
        (State::Valid, true) => "valid; the operator refreshes it",
        (State::Valid, false) => {
            "valid, but without a refresh token: the operator needs a new login when it expires"
        }
        (State::Refreshing, _) => "expired; a refresh is under way",
        (State::Expired, true) => {
            "expired: the operator does not run or cannot refresh it; see its log, or run `kubectl cde login`"
        }
        (State::Expired, false) => "expired: run `kubectl cde login`",
        (State::None, _) => "none: run `kubectl cde login`",
    }
}

/// Returns a time and how far it is from now.
fn distance(at: Timestamp, now: Timestamp) -> String {
    let distance = at.duration_since(now);
    let whole = SignedDuration::from_secs(distance.as_secs()).unsigned_abs();
    let words = humantime::format_duration(whole);
    if distance.is_negative() { format!("{at:.0} ({words} ago)") } else { format!("{at:.0} (in {words})") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-08T08:49:07.5Z".parse().unwrap()
    }

    fn login(expires_in: Option<i64>, claimed_for: Option<i64>) -> Login {
        let at = |seconds: i64| now() + SignedDuration::from_secs(seconds);
        Login {
            access_token: Some("canary-a".into()),
            refresh_token: Some("canary-r".into()),
            expires_at: expires_in.map(at),
            obtained_at: Some(at(-60)),
            claim: claimed_for.map(|seconds| Claim { holder: "pod-1".to_owned(), until: at(seconds) }),
        }
    }

    #[test]
    fn a_login_is_required_if_the_token_has_expired_and_no_refresh_is_under_way() {
        let without_refresh_token = Login { refresh_token: None, ..login(Some(-1), Some(9)) };
        let spent = Login { access_token: None, ..login(None, None) };
        for (login, expected) in [
            (login(Some(1), None), State::Valid),
            (login(None, None), State::Valid),
            (login(Some(1), Some(9)), State::Valid),
            (login(Some(0), None), State::Expired),
            (login(Some(-1), None), State::Expired),
            (login(Some(-1), Some(9)), State::Refreshing),
            (login(Some(-1), Some(-1)), State::Expired),
            (without_refresh_token, State::Expired),
            (spent, State::Expired),
            (Login::default(), State::None),
        ] {
            assert_eq!(state(&login, now()), expected, "{login:?}");
        }
    }

    #[test]
    fn a_time_is_shown_with_its_distance() {
        let at = |text: &str| distance(text.parse().unwrap(), now());
        assert_eq!(at("2026-11-08T09:49:08Z"), "2026-11-08T09:49:08Z (in 1h)");
        assert_eq!(at("2026-11-08T08:48:05Z"), "2026-11-08T08:48:05Z (1m 2s ago)");
    }
}
