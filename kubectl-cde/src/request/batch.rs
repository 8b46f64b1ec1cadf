//! Starts the requests of a list in batches.
//!
//! All requests of the list are created suspended, with a label for the list and annotations for the limits. A batch is
//! started by removing `spec.suspend`, the next one when all started requests have ended. So the cluster holds the whole
//! state, and any terminal can continue after an interruption. The requests of a preview have the label and no limits.
//!
//! Another annotation holds the position in the list. Batches follow it.
//!
//! The requests of a list with pins have an annotation, too. No batch starts one of them before it has preconditions.

use std::collections::BTreeMap;
use std::process::ExitCode;

use jiff::Timestamp;
use uuid::Uuid;

use super::change::{patch, suspend};
use super::group::summary;
use super::targets::Target;
use super::watch::Watch;
use super::{Key, Kind, Request};
use crate::cli::selection::SelectArgs;
use crate::cluster::Cluster;
use crate::command::note;
use crate::error::Error;
use crate::progress::Progress;

/// The label of the requests of one list.
pub(crate) const LABEL: &str = "cde.productsup.com/batch";
/// The annotations with the limits.
const SIZE: &str = "cde.productsup.com/batch-size";
const MAX_FAILURES: &str = "cde.productsup.com/max-failures";
/// The annotation with the position in the list.
const POSITION: &str = "cde.productsup.com/batch-position";
/// The annotation of the requests that must be pinned before they are started.
const PIN: &str = "cde.productsup.com/pin";

/// A list and its limits.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The value of the label.
    pub(crate) id: String,
    /// So many requests are started together.
    pub(crate) size: usize,
    /// No further batch is started after more failures.
    pub(crate) max_failures: usize,
    /// Only requests with preconditions are started.
    pub(crate) pin: bool,
}

/// What happens next.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Everything has ended.
    Finish,
    /// Too many requests have failed.
    Stop,
    /// The present batch has not ended.
    Wait,
    /// The next batch starts.
    Start(Vec<Key>),
}

impl Plan {
    /// Returns the plan that the requests of a list hold, with other limits where they are given; `None` if neither holds
    /// a size.
    pub(crate) fn stored(
        id: &str,
        requests: &[Request],
        size: Option<usize>,
        max_failures: Option<usize>,
    ) -> Option<Self> {
        let limit = |key: &str| requests.iter().find_map(|request| annotation(request, key)?.parse().ok());
        Some(Self {
            id: id.to_owned(),
            size: size.or_else(|| limit(SIZE))?.max(1),
            max_failures: max_failures.or_else(|| limit(MAX_FAILURES)).unwrap_or(0),
            pin: requests.iter().any(needs_pin),
        })
    }

    /// Returns the annotations of the requests.
    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        let (size, failures) = (self.size.to_string(), self.max_failures.to_string());
        let pin = self.pin.then(|| (PIN.to_owned(), "required".to_owned()));
        [(SIZE.to_owned(), size), (MAX_FAILURES.to_owned(), failures)].into_iter().chain(pin).collect()
    }

    /// Whether a request belongs to the list.
    pub(crate) fn has(&self, request: &Request) -> bool {
        id_of(request) == Some(&self.id)
    }

    /// Returns the command that goes on with the list.
    pub(crate) fn go_on(&self, cluster: &Cluster) -> String {
        let Self { size, max_failures, .. } = self;
        format!(
            "kubectl cde resume {} --batch-size {size} --max-failures {max_failures}",
            selection(&self.id, &cluster.namespace)
        )
    }

    /// Returns the selector of the requests.
    pub(crate) fn selector(&self) -> String {
        format!("{LABEL}={}", self.id)
    }

    fn next(&self, requests: &BTreeMap<Key, Request>) -> Step {
        let is_started = |request: &Request| !request.is_suspended() && request.end().is_none();
        if requests.values().any(is_started) {
            return Step::Wait;
        }
        let mut held: Vec<_> = requests.iter().filter(|(_, request)| can_start(request)).collect();
        held.sort_by_key(|(_, request)| position(request));
        let batch: Vec<Key> = held.into_iter().map(|(key, _)| key.clone()).take(self.size).collect();
        if batch.is_empty() {
            Step::Finish
        } else if failures(requests) > self.max_failures {
            Step::Stop
        } else {
            Step::Start(batch)
        }
    }
}

/// Returns the ID of a list. The same list has the same ID on the same day, so that a command that was interrupted while
/// it created requests can be run again, and a rollback finds what a preview has created.
pub(crate) fn list_id(kind: Kind, version: &str, targets: &[Target], now: Timestamp, pin: bool) -> String {
    let content = format!("{kind} {version} {targets:?}{}", if pin { " pinned" } else { "" });
    let digest = Uuid::new_v5(&Uuid::NAMESPACE_OID, content.as_bytes()).simple().to_string();
    format!("{}-{}", now.strftime("%Y%m%d"), &digest[..8])
}

/// Marks requests as those of one list, in their present order. `annotations` are those of [`Plan::annotations`], if there
/// is a plan.
pub(crate) fn mark(id: &str, annotations: &BTreeMap<String, String>, requests: &mut [Request]) {
    for (position, request) in requests.iter_mut().enumerate() {
        let metadata = &mut request.object.metadata;
        metadata.labels.get_or_insert_default().insert(LABEL.to_owned(), id.to_owned());
        let all = metadata.annotations.get_or_insert_default();
        all.extend(annotations.clone());
        all.insert(POSITION.to_owned(), position.to_string());
    }
}

/// Returns the ID of the list to which a request belongs.
pub(crate) fn id_of(request: &Request) -> Option<&str> {
    request.metadata().labels.as_ref()?.get(LABEL).map(String::as_str)
}

/// Returns the flags that select the requests of a list.
pub(crate) fn selection(id: &str, namespace: &str) -> String {
    format!("-l {LABEL}={id} -n {namespace}")
}

/// Says how to start or discard the suspended requests of a list that has no limits.
pub(crate) fn say_how_to_start(cluster: &Cluster, requests: &[&Request]) {
    let Some((id, first)) = requests.iter().find_map(|one| Some((id_of(one)?, one))) else { return };
    let selection = selection(id, &cluster.namespace);
    note(format_args!(
        "start them in batches: kubectl cde resume {selection} --batch-size N\n\
         start all at once:     kubectl cde resume {selection}\n\
         discard them:          kubectl delete {} {selection}",
        first.kind()
    ));
}

/// Returns the position of a request in its list. A request without one comes last.
fn position(request: &Request) -> usize {
    annotation(request, POSITION).and_then(|text| text.parse().ok()).unwrap_or(usize::MAX)
}

fn annotation<'a>(request: &'a Request, key: &str) -> Option<&'a String> {
    request.metadata().annotations.as_ref()?.get(key)
}

/// Whether a batch may start the request.
fn can_start(request: &Request) -> bool {
    request.is_held() && !lacks_pin(request)
}

/// Whether the request must be pinned and is not.
fn lacks_pin(request: &Request) -> bool {
    needs_pin(request) && !request.has_preconditions()
}

fn needs_pin(request: &Request) -> bool {
    annotation(request, PIN).is_some()
}

fn failures(requests: &BTreeMap<Key, Request>) -> usize {
    requests.values().filter(|request| request.has_failed()).count()
}

/// Starts batch after batch until all have ended, too many have failed, or the person interrupts.
pub(crate) async fn run(cluster: &Cluster, plan: &Plan) -> Result<ExitCode, Error> {
    let go_on = plan.go_on(cluster);
    note(format_args!("If this is interrupted, go on with: {go_on}"));
    tokio::select! {
        result = follow(cluster, plan) => result,
        _ = tokio::signal::ctrl_c() => Err(Error::NotDone(format!(
            "interrupted: what was started goes on, and the rest stays suspended; go on with: {go_on}"
        ))),
    }
}

async fn follow(cluster: &Cluster, plan: &Plan) -> Result<ExitCode, Error> {
    let select = SelectArgs { selector: Some(plan.selector()), ..SelectArgs::default() };
    let mut watch = Watch::start(cluster, &select, None).await?;
    let progress = Progress::new();
    let mut told = BTreeMap::new();
    loop {
        tell(&progress, &watch.requests, &mut told)?;
        match plan.next(&watch.requests) {
            Step::Wait => {
                watch.change().await?;
            }
            Step::Start(batch) => start(cluster, &mut watch, &progress, &batch).await?,
            Step::Finish => {
                progress.line(&summary(watch.requests.values()))?;
                let held = |request: &&Request| request.is_held();
                let unpinned = watch.requests.values().filter(held).count();
                if unpinned > 0 {
                    let are =
                        if unpinned == 1 { "is not pinned and stays" } else { "are not pinned and stay" };
                    note(format_args!(
                        "{unpinned} of {} requests {are} suspended: see kubectl cde preview {}",
                        watch.requests.len(),
                        selection(&plan.id, &cluster.namespace)
                    ));
                }
                let is_complete = failures(&watch.requests) + unpinned == 0;
                return Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            Step::Stop => {
                progress.line(&summary(watch.requests.values()))?;
                return Err(Error::NotDone(stopped(cluster, plan, failures(&watch.requests))));
            }
        }
    }
}

/// Returns why no further batch was started, and how to go on.
fn stopped(cluster: &Cluster, plan: &Plan, failures: usize) -> String {
    let limit = plan.max_failures;
    let (noun, them) = if failures == 1 { ("request", "it") } else { ("requests", "them") };
    let more = Plan { max_failures: failures + limit, ..plan.clone() };
    format!(
        "{failures} {noun} failed, which is more than {limit}, so no further batch was started: see kubectl cde status {}. \
         The next run counts {them} again, unless you retry {them} first: to go on and allow {limit} more, run {}",
        selection(&plan.id, &cluster.namespace),
        more.go_on(cluster)
    )
}

/// Tells each failure once.
fn tell(
    progress: &Progress,
    requests: &BTreeMap<Key, Request>,
    told: &mut BTreeMap<Key, &'static str>,
) -> Result<(), Error> {
    for (key, request) in requests {
        if request.has_failed() && told.insert(key.clone(), request.reason()) != Some(request.reason()) {
            progress.line(&format!("{request} {}: {}", request.reason(), request.message()))?;
        }
    }
    let ended = requests.values().filter(|request| request.end().is_some()).count();
    progress.show(ended, requests.len(), format!("{} failed", failures(requests)));
    Ok(())
}

async fn start(
    cluster: &Cluster,
    watch: &mut Watch<'_>,
    progress: &Progress,
    batch: &[Key],
) -> Result<(), Error> {
    for key in batch {
        let Some(request) = watch.requests.get_mut(key) else { continue };
        let generation = patch(cluster, request, suspend(false)).await?;
        request.set_started(generation);
    }
    let waiting = watch.requests.values().filter(|request| can_start(request));
    progress.line(&format!(
        "started {} of {} requests, {} left",
        batch.len(),
        watch.requests.len(),
        waiting.count()
    ))
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(name: &str, suspend: bool, outcome: Option<&str>) -> (Key, Request) {
        let object = json!({
            "apiVersion": "cde.productsup.com/v1alpha1", "kind": "ConnectorRestore",
            "metadata": {"name": name, "namespace": "n"},
            "spec": {"connectorID": "497f6eca-6276-4993-bfeb-53cbbbba6f08", "suspend": suspend},
            "status": {"outcome": outcome},
        });
        let request = Request::read(Kind::Restore, serde_json::from_value(object).unwrap()).unwrap();
        (request.key(), request)
    }

    fn next(size: usize, max_failures: usize, all: &[(bool, Option<&str>)]) -> String {
        let requests = all
            .iter()
            .enumerate()
            .map(|(at, (suspend, outcome))| request(&at.to_string(), *suspend, *outcome));
        match (Plan { id: String::new(), size, max_failures, pin: false }).next(&requests.collect()) {
            Step::Start(batch) => batch.into_iter().map(|key| key.1).collect::<Vec<_>>().join(" "),
            step => format!("{step:?}"),
        }
    }

    #[test]
    fn the_next_batch_starts_when_the_one_before_has_ended() {
        let (held, open, done) = ((true, None), (false, None), (false, Some("Succeeded")));
        assert_eq!(next(2, 0, &[held, held, held]), "0 1");
        assert_eq!(next(2, 0, &[done, open, held]), "Wait");
        assert_eq!(next(2, 0, &[done, done, held]), "2");
        assert_eq!(next(2, 0, &[done, done, done]), "Finish");
        assert_eq!(next(2, 0, &[(true, Some("Skipped")), done]), "Finish", "it ended while it was suspended");
    }

    #[test]
    fn more_failures_than_allowed_stop_it() {
        let (held, failed, unknown) = ((true, None), (false, Some("Failed")), (false, Some("Unknown")));
        assert_eq!(next(1, 2, &[failed, unknown, held]), "2");
        assert_eq!(next(1, 1, &[failed, unknown, held]), "Stop");
        assert_eq!(next(1, 0, &[failed, (false, None), held]), "Wait", "what was started ends first");
        assert_eq!(next(1, 0, &[failed, unknown]), "Finish", "nothing is left to start");
    }

    #[test]
    fn the_limits_of_the_list_apply_unless_others_are_given() {
        let (_, mut request) = request("a", true, None);
        let plan = Plan { id: "x".to_owned(), size: 10, max_failures: 3, pin: false };
        request.object.metadata.annotations = Some(plan.annotations());
        let stored = |size, failures| {
            let plan = Plan::stored("x", std::slice::from_ref(&request), size, failures).unwrap();
            (plan.size, plan.max_failures)
        };
        assert_eq!((stored(None, None), stored(Some(5), Some(0))), ((10, 3), (5, 0)));
        request.object.metadata.annotations = None;
        assert!(Plan::stored("x", &[request], None, None).is_none(), "a preview has no limits");
    }

    #[test]
    fn a_request_that_must_be_pinned_is_not_started_without_preconditions() {
        let plan = Plan { id: "x".to_owned(), size: 10, max_failures: 0, pin: true };
        let object = |name: &str, spec: serde_json::Value| {
            let mut object = json!({
                "apiVersion": "cde.productsup.com/v1alpha1", "kind": "MigrationRollback",
                "metadata": {"name": name, "namespace": "n", "annotations": plan.annotations()},
                "spec": {"connectorID": "497f6eca-6276-4993-bfeb-53cbbbba6f08", "version": "main", "suspend": true,
                    "notAfter": "2100-01-01T00:00:00Z"},
            });
            object["spec"]["preconditions"] = spec;
            let request = Request::read(Kind::Rollback, serde_json::from_value(object).unwrap()).unwrap();
            (request.key(), request)
        };
        let requests: BTreeMap<_, _> =
            [object("a", json!(null)), object("b", json!({"state": "synchronized-to-prod"}))].into();
        let Step::Start(batch) = plan.next(&requests) else { panic!("nothing is started") };
        assert_eq!(batch.iter().map(|key| key.1.as_str()).collect::<Vec<_>>(), ["b"]);
        assert!(Plan::stored("x", &requests.into_values().collect::<Vec<_>>(), None, None).unwrap().pin);
    }
}
