//! The story of one request, in sentences.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::Style;
use cde_operator::api::{Executables, OperationRecord, Outcome, Preconditions, Reason};
use cde_operator::text::clean;
use jiff::Timestamp;

use crate::request::manager::{Manager, creator};
use crate::request::manifest::MANAGED_BY;
use crate::request::{Request, Spec};
use crate::runbook;

const BOLD: Style = Style::new().bold();
/// Where the texts begin.
const INDENT: usize = 14;
/// A time that is further away is shown as a date only.
const FAR: Duration = Duration::from_hours(30 * 24);
/// Lines are broken at this column.
const WIDTH: usize = 110;

/// Returns what was asked, what happened, what comes next and what a person can do.
pub(crate) fn story(request: &Request, now: Timestamp) -> String {
    let mut text = format!("{BOLD}{request}{BOLD:#} in the namespace {}\n\n", request.namespace());
    let mut tell = |title: &str, sentences: String| {
        if !sentences.is_empty() {
            let _ = writeln!(text, "{}", paragraph(title, &sentences));
        }
    };
    tell("Asked", asked(request, now));
    tell("Managed by", managed(request));
    tell("State", format!("{}. {}", reason(request), request.message()));
    tell("Seen", seen(request));
    tell("Retried", retried(request, now));
    if let Some(operation) = &request.status.operation {
        tell("Attempts", attempts(operation, now));
        tell("Last answer", last_error(operation, now));
    }
    tell("Next", next(request, now));
    if let Some(entry) = request.status.reason.filter(|_| !request.is_reopening()).and_then(runbook::entry) {
        tell("Meaning", entry.meaning);
        tell("Check", entry.check);
        tell("Action", action(request, &entry.action));
    }
    tell("Commands", commands(request, now));
    if let Some(operation) = &request.status.operation {
        tell("Trace ID", operation.id.replace('-', ""));
        tell("Request ID", request_id(operation));
    }
    text
}

/// Returns what is known about the effect of a request.
pub(crate) fn evidence(request: &Request, now: Timestamp) -> String {
    let mut parts = vec![paragraph("Asked", &asked(request, now)), paragraph("State", &request.message())];
    parts.push(paragraph("Seen", &seen(request)));
    if let Some(operation) = &request.status.operation {
        parts.push(paragraph("Attempts", &attempts(operation, now)));
        parts.push(paragraph("Last answer", &last_error(operation, now)));
    }
    parts.join("\n")
}

fn asked(request: &Request, now: Timestamp) -> String {
    let connector = match request.connector_name() {
        Some(name) => format!("the connector {name} ({})", request.connector()),
        None => format!("the connector {}", request.connector()),
    };
    let what = match &request.spec {
        Spec::Restore(_) => format!("Restore {connector} from the bin."),
        Spec::Rollback(spec) => {
            let version = match &request.status.result.resolved_version {
                Some(resolved) => format!(
                    "{} ({})",
                    spec.version,
                    resolved.version.clone().unwrap_or_else(|| resolved.major.to_string())
                ),
                None => spec.version.clone(),
            };
            let conditions = spec.preconditions.as_ref().map(conditions).unwrap_or_default();
            format!("Roll back the migration of version {version} of {connector}{conditions}.")
        }
    };
    let created = request.metadata().creation_timestamp.as_ref().map(|time| distance(time.0, now));
    let by = creator(request).map(|manager| format!(" by {}", clean(manager, 100))).unwrap_or_default();
    let created = created.map(|time| format!(" Created {time}{by}.")).unwrap_or_default();
    let end = request.not_after().map(|time| format!(" No attempt begins after {}.", distance(time, now)));
    format!("{what}{created}{}", end.unwrap_or_default())
}

fn conditions(preconditions: &Preconditions) -> String {
    let state = preconditions.state.as_ref().map(|state| format!("its state is {}", clean(state, 100)));
    let ids = preconditions.executables.as_ref().map(|ids| {
        let ids =
            Executables { legacy: ids.legacy, production: ids.production, development: ids.development };
        format!("its executables are {}", executables(&ids))
    });
    let all: Vec<String> = state.into_iter().chain(ids).collect();
    format!(", only while {}", all.join(" and "))
}

fn managed(request: &Request) -> String {
    Manager::of(request).map_or_else(String::new, |manager| {
        format!("{}. To change the request for good, change it in {}.", manager.name, manager.source())
    })
}

fn reason(request: &Request) -> &'static str {
    if request.is_reopening() { "Asked again; the operator has not handled it yet" } else { request.reason() }
}

fn seen(request: &Request) -> String {
    let result = &request.status.result;
    let mut text = String::new();
    if let Some(before) = &result.before {
        let state = before.state.as_ref().map(|state| format!("state {}, ", clean(state, 100)));
        let ids = executables(&before.executables);
        let _ = write!(text, "Before the attempt: {}executables {ids}. ", state.unwrap_or_default());
    }
    let state = request.status.state.as_ref().map(|state| format!("state {}", clean(state, 100)));
    let ids = result.executables.as_ref().map(|ids| format!("executables {}", executables(ids)));
    let last: Vec<String> = state.into_iter().chain(ids).collect();
    if !last.is_empty() {
        let _ = write!(text, "Last seen: {}.", last.join(", "));
    }
    text.trim_end().to_owned()
}

/// Returns the IDs that a version has.
pub(crate) fn executables(ids: &Executables) -> String {
    let all = [("production", ids.production), ("legacy", ids.legacy), ("development", ids.development)];
    let known: Vec<String> =
        all.into_iter().filter_map(|(name, id)| id.map(|id| format!("{name} {id}"))).collect();
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

/// Returns when a person reopened the request. Its object no longer has the attempts before.
fn retried(request: &Request, now: Timestamp) -> String {
    let Some(time) = &request.status.last_handled_retry else { return String::new() };
    format!(
        "At {}. The rest is about the time since then. For the attempts before: kubectl events --for {}/{} -n {}",
        distance(time.0, now),
        request.kind().resource().plural,
        request.name(),
        request.namespace()
    )
}

/// Returns the runbook's action. Its sentences about Git do not apply to a request that the plugin made.
fn action(request: &Request, text: &str) -> String {
    let is_own = request.metadata().labels.as_ref().and_then(|labels| labels.get(MANAGED_BY.0));
    let (own, command) = (is_own.is_some_and(|by| by == MANAGED_BY.1), request.kind().command());
    let (about_git, rest): (Vec<&str>, Vec<&str>) =
        text.split_inclusive(". ").partition(|sentence| own && sentence.contains("Git"));
    if about_git.is_empty() {
        return text.to_owned();
    }
    let rest = rest.concat().trim_end().to_owned();
    if request.end() != Some(Outcome::Failed) {
        return rest;
    }
    let instead = format!(
        "If a field is wrong, create another request with kubectl cde {command}. If nobody wants this one any more, delete \
         it: kubectl delete {request} -n {}",
        request.namespace()
    );
    format!("{rest} {instead}").trim_start().to_owned()
}

fn attempts(operation: &OperationRecord, now: Timestamp) -> String {
    let mut text = match operation.attempts {
        0 => return "None so far.".to_owned(),
        1 => "One".to_owned(),
        count => format!("{count}, the last one"),
    };
    if let Some(time) = &operation.last_attempt_time {
        let _ = write!(text, " at {}", distance(time.0, now));
    }
    text.push('.');
    match (operation.unknown_attempts, operation.attempts) {
        (0, _) => {}
        (_, 1) => text.push_str(" Whether it had an effect is unknown."),
        (unknown, _) => {
            let _ = write!(text, " Whether {unknown} of them had an effect is unknown.");
        }
    }
    if let Some(claim) = &operation.in_flight {
        let until = distance(claim.until.0, now);
        let holder = clean(&claim.holder, 256);
        let _ =
            write!(text, " Attempt {} is under way in {holder}, until {until} at the latest.", claim.attempt);
    }
    text
}

fn last_error(operation: &OperationRecord, now: Timestamp) -> String {
    operation.last_error.as_ref().map_or_else(String::new, |error| {
        let code = error.code.map_or_else(|| "None".to_owned(), |code| code.to_string());
        format!("{code} at {}: {}", distance(error.time.0, now), clean(&error.message, 512))
    })
}

fn next(request: &Request, now: Timestamp) -> String {
    if let Some(outcome) = request.end() {
        let when = request.completed().map(|time| format!(" {}", distance(time, now))).unwrap_or_default();
        let last = if outcome.is_final() { "and that is final" } else { "and only a person can reopen it" };
        return format!("Nothing: the request ended{when}, {last}.");
    }
    let mut text = String::new();
    let at = request.status.operation.as_ref().and_then(|operation| operation.next_attempt_time.as_ref());
    if let Some(time) = at {
        let _ = write!(text, "The next call is due {}. ", distance(time.0, now));
    }
    if let Some(time) = &request.status.deadline_time {
        let _ = write!(text, "The request ends by itself {}.", distance(time.0, now));
    }
    text.trim_end().to_owned()
}

/// Returns the commands of the plugin that apply now.
fn commands(request: &Request, now: Timestamp) -> String {
    let target = format!("{request} -n {}", request.namespace());
    let window = if request.not_after().is_some_and(|end| end <= now) { " --not-after 1h" } else { "" };
    match (request.end(), request.status.reason) {
        (Some(Outcome::Unknown), _) => format!(
            "kubectl cde confirm {target} --succeeded\nkubectl cde confirm {target} --failed\nkubectl cde retry {target}{window}"
        ),
        (Some(Outcome::Failed), _) => format!("kubectl cde retry {target}{window}"),
        (Some(Outcome::Succeeded | Outcome::Skipped), _) => String::new(),
        (None, _) if request.is_suspended() => format!("kubectl cde resume {target}"),
        (None, Some(Reason::LoginRequired)) => "kubectl cde login -n OPERATOR_NAMESPACE".to_owned(),
        (None, Some(Reason::Retrying)) => format!("kubectl cde retry {target}\nkubectl cde suspend {target}"),
        (None, _) => format!("kubectl cde suspend {target}"),
    }
}

fn request_id(operation: &OperationRecord) -> String {
    match operation.attempts {
        0 => String::new(),
        attempts => format!("{}-{attempts} (X-Request-Id of the last attempt)", operation.id),
    }
}

/// Returns a time and how far it is from now, if that is near enough to be of use.
fn distance(at: Timestamp, now: Timestamp) -> String {
    let distance = at.duration_since(now);
    let whole = jiff::SignedDuration::from_secs(distance.as_secs()).unsigned_abs();
    if whole > FAR {
        return format!("{at:.0}");
    }
    let words = humantime::format_duration(whole);
    if whole.is_zero() {
        return format!("{at:.0} (now)");
    }
    if distance.is_negative() { format!("{at:.0} ({words} ago)") } else { format!("{at:.0} (in {words})") }
}

/// Returns a titled paragraph, with lines of limited width.
fn paragraph(title: &str, text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for part in text.lines() {
        let mut line = String::new();
        for word in part.split(' ') {
            if !line.is_empty() && INDENT + line.chars().count() + word.chars().count() + 1 > WIDTH {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    let indent = " ".repeat(INDENT);
    let label = format!("{:<INDENT$}", format!("{title}:"));
    format!("{BOLD}{label}{BOLD:#}{}", lines.join(&format!("\n{indent}")))
}
