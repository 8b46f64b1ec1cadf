//! The cases as files in Argo CD's own layout, so that the scripts can be contributed with their tests. Values that
//! differ from run to run (times, IDs, names of the machine) are replaced by those of one example. Everything else is
//! as the operator wrote it. `UPDATE_TESTDATA=1` writes the files, and every other run compares them.

use std::collections::BTreeSet;
use std::fs::DirEntry;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::gitops::cases::{BOTH, Case, case, cases};
use cde_harness::Kind;

/// The example's times, by their fields.
const TIMES: [(&str, &str); 10] = [
    ("creationTimestamp", CREATED),
    ("startTime", "2026-11-23T09:00:01Z"),
    ("lastAttemptTime", "2026-11-23T09:00:01Z"),
    ("lastTransitionTime", "2026-11-23T09:00:01Z"),
    ("time", "2026-11-23T09:00:02Z"),
    ("waitStartTime", "2026-11-23T09:00:02Z"),
    ("completionTime", "2026-11-23T09:00:03Z"),
    ("until", "2026-11-23T09:00:26Z"),
    ("deletionTimestamp", "2026-11-23T09:30:00Z"),
    ("nextAttemptTime", "2026-11-23T10:00:02Z"),
];
const CREATED: &str = "2026-11-23T09:00:00Z";

const NAMESPACE: &str = "connectors";
const CONNECTOR: &str = "497f6eca-6276-4993-bfeb-53cbbbba6f08";
const UID: &str = "7f6b1c52-51b0-4c1c-9a0e-3f7f2d5f3c11";
const OPERATION: &str = "0b8e1f9c-6a43-5f0e-8c55-1d0a3c1f7a20";
const SERVER: &str = "https://cde.example.com";
const HOLDER: &str = "cde-operator-7d9c5b6f4-x2x9k/5f3a9c01";

/// Returns the directory in which Argo CD looks for the scripts of a kind.
pub(crate) fn folder(kind: Kind) -> PathBuf {
    let name = match kind {
        Kind::Restore => "ConnectorRestore",
        Kind::Rollback => "MigrationRollback",
    };
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("deploy/argocd/resource_customizations/cde.productsup.com").join(name)
}

/// Returns a script of a kind, or another text in its directory.
pub(crate) fn text(kind: Kind, file: &str) -> String {
    let path = folder(kind).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns a YAML file in a kind's directory.
pub(crate) fn yaml(kind: Kind, file: &str) -> Value {
    serde_saphyr::from_str(&text(kind, file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Returns the file that shows a case, such as `testdata/outcome-unknown.yaml`.
pub(crate) fn file(case: &Case) -> String {
    let mut name = String::new();
    for letter in case.what.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(letter.to_lowercase());
    }
    format!("testdata/{name}.yaml")
}

/// Writes the file, or compares it.
pub(crate) fn keep(kind: Kind, file: &str, value: &Value) {
    if std::env::var_os("UPDATE_TESTDATA").is_some() {
        let path = folder(kind).join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, serde_saphyr::to_string(value).unwrap()).unwrap();
    }
    let kept = yaml(kind, file);
    let wanted = serde_json::to_string_pretty(value).unwrap();
    assert!(
        kept == *value,
        "{kind:?} {file} is not what the operator writes now (UPDATE_TESTDATA=1 writes it):\n{wanted}"
    );
}

/// Returns the case with the values of the example.
pub(crate) fn example(case: &Case) -> Value {
    let mut object = case.object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.retain(|field, _| !matches!(field.as_str(), "managedFields" | "annotations"));
    metadata["resourceVersion"] = json!("1");
    metadata["uid"] = json!(UID);
    metadata["namespace"] = json!(NAMESPACE);
    match case.what {
        // The third refusal in a row confirms the first, unless it comes too soon.
        "RequestRejected" | "EditedFailure" => count(&mut object["status"]["operation"], 3, 2),
        // The next probe with the token may come before the object is read. A rollback's probe is its read.
        "TokenRejected" => {
            count(&mut object["status"]["operation"], u64::from(case.kind == Kind::Restore), 1);
        }
        _ => {}
    }
    let texts = texts(&case.object);
    replace(&mut object, "", &texts);
    object
}

/// Sets the counts to their minimum, because the jitter of the backoff makes them vary.
fn count(operation: &mut Value, attempts: u64, waits: u64) {
    for (field, least) in [("attempts", attempts), ("backoffStep", waits)] {
        assert!(operation[field].as_u64().is_some_and(|count| count >= least), "{operation:#}");
        operation[field] = json!(least);
    }
}

/// Returns the texts of this run with their replacements from the example.
fn texts(object: &Value) -> Vec<(String, String)> {
    let not_after = object["spec"]["notAfter"].as_str().map(|text| (text, example_of(text)));
    let status = &object["status"];
    let created: Timestamp = object["metadata"]["creationTimestamp"].as_str().unwrap().parse().unwrap();
    let later = |seconds| (created + SignedDuration::from_secs(seconds)).to_string();
    let (deadline, limit) = match object["spec"]["deadlineSeconds"].as_i64() {
        Some(1) => (later(1), "2026-11-23T09:00:01Z"),
        _ => (later(24 * 3600), "2026-11-24T09:00:00Z"),
    };
    // Only messages contain this time.
    let confirmed = status["operation"]["completionTime"].as_str();
    let confirmed = confirmed.filter(|_| status["reason"] == "ConfirmedFailed");
    let pairs = [
        (&object["spec"]["connectorID"], CONNECTOR),
        (&object["metadata"]["creationTimestamp"], CREATED),
        (&object["metadata"]["namespace"], NAMESPACE),
        (&status["operation"]["id"], OPERATION),
        (&status["operation"]["server"], SERVER),
        (&status["operation"]["inFlight"]["holder"], HOLDER),
    ];
    let pairs = pairs.into_iter().filter_map(|(of_run, of_example)| Some((of_run.as_str()?, of_example)));
    let more =
        [(deadline.as_str(), limit)].into_iter().chain(confirmed.map(|at| (at, "2026-11-23T09:00:03Z")));
    pairs.chain(not_after).chain(more).map(|(from, to)| (from.to_owned(), to.to_owned())).collect()
}

/// Returns the example's `notAfter` for one that is long past, just past, or ahead.
fn example_of(not_after: &str) -> &'static str {
    let ahead = not_after.parse::<Timestamp>().unwrap().duration_since(Timestamp::now());
    match ahead {
        long_past if long_past < SignedDuration::from_hours(-24) => "2026-11-21T09:00:00Z",
        past if past < SignedDuration::ZERO => "2026-11-23T08:59:00Z",
        _ => "2026-11-23T10:00:00Z",
    }
}

fn replace(value: &mut Value, field: &str, texts: &[(String, String)]) {
    match value {
        Value::Object(members) => {
            members.iter_mut().for_each(|(field, member)| replace(member, field, texts));
        }
        Value::Array(members) => members.iter_mut().for_each(|member| replace(member, field, texts)),
        Value::String(text) => {
            if let Some((_, time)) = TIMES.iter().find(|(name, _)| *name == field) {
                (*time).clone_into(text);
            }
            for (from, to) in texts {
                *text = text.replace(from, to);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn the_test_data_for_argo_cd_is_exactly_what_the_operator_writes() {
    for case in cases().await {
        keep(case.kind, &file(case), &example(case));
    }
    for kind in BOTH {
        let wanted: BTreeSet<String> =
            cases().await.iter().filter(|case| case.kind == kind).map(file).collect();
        let files = std::fs::read_dir(folder(kind).join("testdata")).unwrap();
        let name = |file: DirEntry| format!("testdata/{}", file.file_name().to_string_lossy());
        assert_eq!(files.map(|file| name(file.unwrap())).collect::<BTreeSet<_>>(), wanted);
    }
}

/// The objects that actions are tried on, and the result of each action.
#[tokio::test]
async fn the_test_data_of_the_actions_follows_from_what_the_operator_writes() {
    for kind in BOTH {
        for (what, file) in INPUTS {
            keep(kind, file, &input(kind, what).await);
        }
        for (what, action, file) in OUTPUTS {
            let mut object = input(kind, what).await;
            match action {
                "retry" => object["metadata"]["annotations"] = json!({"cde.productsup.com/retry": RETRIED}),
                other => object["spec"]["suspend"] = json!(other == "suspend"),
            }
            keep(kind, file, &object);
        }
    }
}

/// The time at which the example requests a retry.
pub(crate) const RETRIED: &str = "2026-11-23T12:00:00Z";

const INPUTS: [(&str, &str); 5] = [
    ("New", "actions/testdata/new.yaml"),
    ("RequestRejected", "actions/testdata/failed.yaml"),
    ("Retrying", "actions/testdata/waiting.yaml"),
    ("Suspended", "actions/testdata/suspended.yaml"),
    ("Success", "actions/testdata/succeeded.yaml"),
];
const OUTPUTS: [(&str, &str, &str); 4] = [
    ("RequestRejected", "retry", "actions/testdata/failed-retried.yaml"),
    ("Retrying", "retry", "actions/testdata/waiting-retried.yaml"),
    ("Retrying", "suspend", "actions/testdata/waiting-suspended.yaml"),
    ("Suspended", "resume", "actions/testdata/suspended-resumed.yaml"),
];

async fn input(kind: Kind, what: &str) -> Value {
    let success = if kind == Kind::Restore { "Restored" } else { "RolledBack" };
    example(case(kind, if what == "Success" { success } else { what }).await)
}
