//! `kubectl cde retry`: asks the operator for another attempt.

use std::process::ExitCode;

use cde_operator::api::{Outcome, RETRY_ANNOTATION};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::note;
use crate::cli::KubernetesArgs;
use crate::cli::selection::RetryArgs;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::prompt::confirm;
use crate::request::Request;
use crate::request::change::{applicable, patch_all};
use crate::request::manager::retry_note;
use crate::request::select::select_some;

pub(super) async fn run(kubernetes: &KubernetesArgs, args: &RetryArgs) -> Result<ExitCode, Error> {
    let cluster = Cluster::new(kubernetes).await?;
    let selected = select_some(&cluster, &args.select).await?;
    let now = cluster.server_time().await?;
    let count = selected.len();
    let requests = applicable(selected, |request| why_not(request, args.not_after, now));
    if requests.is_empty() {
        return Err(Error::NotDone("nothing to retry".to_owned()));
    }
    ask(&requests, args.yes)?;
    for request in &requests {
        if let Some(text) = retry_note(request, args.not_after.is_some()) {
            note(text);
        }
    }
    patch_all(&cluster, &requests, |request| change(request, args.not_after, now), "retried").await?;
    Ok(if requests.len() == count { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn why_not(request: &Request, not_after: Option<Timestamp>, now: Timestamp) -> Option<String> {
    if request.status.outcome.is_some_and(Outcome::is_final) {
        return Some(format!("{} is final; create another request to repeat it", request.reason()));
    }
    if request.is_held() {
        let namespace = request.namespace();
        return Some(format!("it is suspended; start it: kubectl cde resume {request} -n {namespace}"));
    }
    let end = not_after.or(request.not_after())?;
    (end <= now).then(|| format!("its notAfter {end:.0} has passed; move it with --not-after 1h"))
}

fn ask(requests: &[Request], yes: bool) -> Result<(), Error> {
    let unknown = requests.iter().filter(|request| request.status.outcome == Some(Outcome::Unknown)).count();
    match (requests, unknown) {
        ([_], 0) => Ok(()),
        ([only], _) => confirm(
            &format!(
                "The outcome of {only} is unknown. A retry makes another call, even if the last one had its effect. Have \
                 you looked at the connector in the CDE, and retry?"
            ),
            yes,
        ),
        (all, 0) => confirm(&format!("Retry {} requests?", all.len()), yes),
        (all, unknown) => confirm(
            &format!(
                "Retry {} requests? The outcome of {unknown} of them is unknown, and a retry makes another call even if \
                 the last one had its effect. Have you looked at their connectors in the CDE?",
                all.len()
            ),
            yes,
        ),
    }
}

/// Returns the annotation. Its time is that of the API server, and later than the last one that was handled.
fn change(request: &Request, not_after: Option<Timestamp>, now: Timestamp) -> Value {
    let handled =
        request.status.last_handled_retry.as_ref().map(|time| time.0 + SignedDuration::from_secs(1));
    let time = handled.map_or(now, |handled| handled.max(now));
    let mut change = json!({"metadata": {"annotations": {RETRY_ANNOTATION: format!("{time:.0}")}}});
    if let Some(end) = not_after {
        change["spec"] = json!({"notAfter": end});
    }
    change
}
