//! Watches both kinds until every sample has its result or the time is over.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use cde_sandbox::control_plane::ControlPlane;
use cde_sandbox::recording::{PLAIN, Recording, Row};
use cde_sandbox::table;
use futures::StreamExt;
use futures::stream::{BoxStream, select_all};
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;
use tokio::time::Instant;

use super::NAMESPACE;
use super::sample::{Kind, SAMPLES, Sample};
use super::terminal::Live;

const LIMIT: Duration = Duration::from_mins(1);

/// The status of each object by its name.
pub(crate) type Objects = BTreeMap<String, Seen>;

/// The part of an object that changes.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Seen {
    /// The reason of the condition Ready.
    pub(crate) reason: Option<String>,
    outcome: Option<String>,
    conditions: Vec<Condition>,
    operation: Operation,
}

#[derive(Clone, Default, PartialEq, Deserialize)]
struct Condition {
    r#type: String,
    status: String,
    message: String,
}

#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Operation {
    attempts: u32,
}

impl Seen {
    /// Returns whether nothing more happens by itself.
    fn settled(&self, sample: &Sample) -> bool {
        self.outcome.is_some() || self.reason.as_deref() == Some(sample.reason)
    }

    /// Returns the condition's status, the reason, the attempts and the message.
    fn cells(&self) -> [String; 4] {
        let ready = self.conditions.iter().find(|condition| condition.r#type == "Ready");
        let (ready, message) = ready.map_or(("", ""), |ready| (&ready.status, &ready.message));
        let reason = self.reason.clone().unwrap_or_default();
        [ready.to_owned(), reason, self.operation.attempts.to_string(), message.to_owned()]
    }
}

/// Shows every change until all samples have settled, and returns their last status.
///
/// # Errors
/// If the API server rejects or breaks a watch.
pub(crate) async fn follow(control_plane: &ControlPlane, recording: &mut Recording) -> Result<Objects> {
    let client = control_plane.admin().await?;
    let mut changes = select_all([Kind::Restore, Kind::Rollback].map(|kind| changes(&client, kind)));
    let (begin, mut objects, mut live) = (Instant::now(), Objects::new(), Live::new());
    while !all_settled(&objects) {
        let Ok(Some(change)) = tokio::time::timeout_at(begin + LIMIT, changes.next()).await else { break };
        let object = change.context("cannot watch the samples")?;
        let status = object.data.get("status").cloned().unwrap_or_default();
        let seen: Seen = serde_json::from_value(status).context("the demo cannot read a status")?;
        let name = object.name_any();
        if objects.get(&name) != Some(&seen) {
            let change = describe(&name, &seen, begin.elapsed());
            let has_reason = seen.reason.is_some();
            objects.insert(name, seen);
            if has_reason {
                let table = table(&objects);
                live.draw(&table, &change);
                let rows: Vec<Row> = table.iter().map(|line| Row::new(line, color(line))).collect();
                recording.add(begin.elapsed(), &rows);
            }
        }
    }
    Ok(objects)
}

/// Returns the color of a line in a recording, by its cell of the condition Ready.
fn color(line: &str) -> &'static str {
    match line {
        line if line.contains(" True ") => "#7ec699",
        line if line.contains(" False ") => "#f08d8d",
        line if line.contains(" Unknown ") => "#e5c07b",
        _ => PLAIN,
    }
}

fn changes(client: &Client, kind: Kind) -> BoxStream<'static, watcher::Result<DynamicObject>> {
    let resource = ApiResource {
        group: "cde.productsup.com".into(),
        version: "v1alpha1".into(),
        api_version: "cde.productsup.com/v1alpha1".into(),
        kind: kind.name().into(),
        plural: kind.plural().into(),
    };
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), NAMESPACE, &resource);
    watcher(api, watcher::Config::default()).applied_objects().boxed()
}

fn all_settled(objects: &Objects) -> bool {
    SAMPLES.iter().all(|sample| objects.get(sample.name).is_some_and(|seen| seen.settled(sample)))
}

fn describe(name: &str, seen: &Seen, after: Duration) -> String {
    let [ready, reason, attempts, message] = seen.cells();
    let after = after.as_secs_f32();
    format!("{after:5.1} s  {name:<28} {ready:<8} {reason:<18} {attempts}  {message}").trim_end().to_owned()
}

fn table(objects: &Objects) -> Vec<String> {
    let rows = SAMPLES.iter().map(|sample| {
        let [ready, reason, attempts, message] =
            objects.get(sample.name).cloned().unwrap_or_default().cells();
        [sample.kind.short().to_owned(), sample.name.to_owned(), ready, reason, attempts, message]
    });
    table::render(["KIND", "NAME", "READY", "REASON", "ATTEMPTS", "MESSAGE"], rows)
}
