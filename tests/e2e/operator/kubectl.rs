//! What users see with kubectl.

use cde_sandbox::cde::{Fault, Operation, RollbackEffect};
use serde_json::Value;

use cde_harness::{Kind, Request, TestEnv};

/// Returns one line of `kubectl get` by the names of its columns.
fn cells(table: &str, name: &str) -> Vec<(String, String)> {
    let header = table.lines().next().expect("a header");
    let line = table.lines().find(|line| line.starts_with(name)).expect("a line");
    let words = header
        .char_indices()
        .filter(|(at, letter)| *letter != ' ' && (*at == 0 || header[..*at].ends_with(' ')));
    let begins: Vec<usize> = words.map(|(at, _)| at).collect();
    let ends = begins.iter().skip(1).copied().chain([usize::MAX]);
    let cut = |text: &str, from: usize, to: usize| {
        text.chars().skip(from).take(to - from).collect::<String>().trim().to_owned()
    };
    begins.iter().zip(ends).map(|(from, to)| (cut(header, *from, to), cut(line, *from, to))).collect()
}

fn cell<'a>(cells: &'a [(String, String)], column: &str) -> &'a str {
    cells.iter().find(|(name, _)| name == column).map_or_else(|| panic!("no {column}: {cells:?}"), |it| &it.1)
}

fn headers(cells: &[(String, String)]) -> Vec<&str> {
    cells.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn a_list_shows_the_state_and_a_wide_list_shows_the_rest() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let done = Request::new(Kind::Rollback, "done");
    env.sandbox.put(done.ready_connector());
    let locked = Fault::on(Operation::Changing).answer(423).header("retry-after", "3600");
    let waiting = env.request(Kind::Rollback, "waiting", locked);
    let out = Request::new(Kind::Restore, "out");
    env.sandbox.put(out.ready_connector().name("Shop"));
    env.apply_all([&done, &waiting, &out].map(Request::manifest)).await;
    env.wait_for(&done, "RolledBack").await;
    let waits = env.wait_for(&waiting, "Retrying").await;
    env.wait_for(&out, "Restored").await;

    let narrow = env.kubectl(&["get", "mrb"], "").await;
    let row = cells(&narrow, &done.name);
    let columns = ["NAME", "CONNECTOR", "VERSION", "STATE", "LEGACY", "PRODUCTION", "READY", "REASON", "AGE"];
    assert_eq!(headers(&row), columns);
    let values: Vec<&str> = row.iter().take(8).map(|(_, value)| value.as_str()).collect();
    assert_eq!(
        values,
        [&done.name, "Name", "main", "synchronized-to-prod", "25", "24", "True", "RolledBack"]
    );
    let row = cells(&narrow, &waiting.name);
    assert_eq!((cell(&row, "READY"), cell(&row, "REASON")), ("Unknown", "Retrying"));

    let wide = env.kubectl(&["get", "mrb", "-o", "wide"], "").await;
    let row = cells(&wide, &done.name);
    let more = ["ID", "RESOLVED", "ATTEMPTS", "NEXT", "DEADLINE", "COMPLETED", "SERVER", "MESSAGE"];
    assert_eq!(headers(&row), [&columns[..], &more[..]].concat());
    assert_eq!((cell(&row, "ID"), cell(&row, "DEADLINE")), (done.id.to_string().as_str(), ""));
    assert_eq!((cell(&row, "RESOLVED"), cell(&row, "ATTEMPTS"), cell(&row, "NEXT")), ("1.0.0", "1", ""));
    assert!(cell(&row, "COMPLETED").ends_with('s') && cell(&row, "AGE").ends_with('s'), "{wide}");
    assert_eq!(cell(&row, "SERVER"), env.sandbox.url());
    assert_eq!(cell(&row, "MESSAGE"), "Rolled back version 1.0.0: production executable 25 → 24.");
    let row = cells(&wide, &waiting.name);
    assert_eq!(cell(&row, "DEADLINE"), waits.status()["deadlineTime"].as_str().expect("a time"));
    assert_eq!(cell(&row, "NEXT"), waits.operation()["nextAttemptTime"].as_str().expect("a time"));
    assert_eq!(cell(&row, "COMPLETED"), "");

    let wide = env.kubectl(&["get", "crst", "-o", "wide"], "").await;
    let row = cells(&wide, &out.name);
    let columns = ["NAME", "CONNECTOR", "STATE", "READY", "REASON", "AGE"];
    let more = ["ID", "ATTEMPTS", "NEXT", "DEADLINE", "COMPLETED", "SERVER", "MESSAGE"];
    assert_eq!(headers(&row), [&columns[..], &more[..]].concat());
    assert_eq!(
        (cell(&row, "CONNECTOR"), cell(&row, "STATE"), cell(&row, "READY")),
        ("Shop", "created", "True")
    );
    assert_eq!(cell(&row, "MESSAGE"), "Restored the connector Shop from the bin.");
}

#[tokio::test]
async fn requests_are_found_by_category_and_by_reason_outcome_and_connector() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let done = Request::new(Kind::Restore, "done");
    env.sandbox.put(done.ready_connector());
    let refused = env.request(Kind::Rollback, "refused", Fault::on(Operation::Rollback).answer(403));
    let lost = Fault::on(Operation::Rollback).answer(500).after_effect();
    let unknown = env.request(Kind::Rollback, "unknown", lost);
    env.sandbox.put(unknown.ready_connector().on_rollback(RollbackEffect::StateOnly));
    env.apply_all([&done, &refused, &unknown].map(Request::manifest)).await;
    env.wait_for(&done, "Restored").await;
    env.wait_for(&refused, "AccessDenied").await;
    env.wait_for(&unknown, "OutcomeUnknown").await;

    let by_connector = format!("spec.connectorID={}", refused.id);
    let cases: [(&str, &str, &[&Request]); 7] = [
        ("cde", "", &[&done, &refused, &unknown]),
        ("mrb", "status.reason=OutcomeUnknown", &[&unknown]),
        ("mrb", "status.outcome=Failed", &[&refused]),
        ("mrb", "status.outcome!=Failed,status.outcome!=Succeeded", &[&unknown]),
        ("mrb", &by_connector, &[&refused]),
        ("crst", "status.outcome=Succeeded", &[&done]),
        ("cde", "status.reason=AccessDenied", &[&refused]),
    ];
    for (resource, selector, expected) in cases {
        let found = env.kubectl(&["get", resource, "--field-selector", selector, "-o", "name"], "").await;
        let mut found: Vec<&str> = found.lines().filter_map(|line| line.rsplit('/').next()).collect();
        found.sort_unstable();
        let mut expected: Vec<&str> = expected.iter().map(|request| request.name.as_str()).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{resource} {selector}");
    }
}

#[tokio::test]
async fn waiting_for_ready_ends_on_success_and_describe_shows_conditions_and_the_event() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    for kind in [Kind::Restore, Kind::Rollback] {
        let request = env.request(kind, "awaited", Fault::on(Operation::Changing).answer(423));
        env.apply(&request.manifest()).await;
        let (short, name) = (kind.short(), request.name.as_str());

        env.kubectl(&["wait", "--for=condition=Ready", short, name, "--timeout=60s"], "").await;

        let told = env.until_events(name, 2).await;
        let described = env.kubectl(&["describe", short, name], "").await;
        let (conditions, events) = described.split_once("Events:").expect("Events");
        for words in ["Conditions:", "Ready", "Attempts:", "Outcome:", request.success()] {
            assert!(conditions.contains(words), "{words} in\n{described}");
        }
        for (type_, reason, note) in &told {
            let line = events.lines().find(|line| line.contains(note.as_str())).expect("the Event");
            assert!(line.contains(type_) && line.contains(reason), "{line}");
        }
    }
}

#[tokio::test]
async fn waiting_for_stalled_ends_on_failure() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let refused = env.request(Kind::Rollback, "refused", Fault::on(Operation::Rollback).answer(403));
    env.apply(&refused.manifest()).await;
    env.kubectl(&["wait", "--for=condition=Stalled", "mrb", &refused.name, "--timeout=60s"], "").await;
}

/// Collects the paths of all fields of a schema without a description.
fn undescribed(schema: &Value, path: &str, found: &mut Vec<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if property["description"].as_str().is_none_or(|text| text.trim().is_empty()) {
            found.push(path.clone());
        }
        undescribed(property, &path, found);
        undescribed(&property["items"], &format!("{path}[]"), found);
    }
}

#[tokio::test]
async fn every_field_has_a_description() {
    let env = TestEnv::new().await;
    for plural in ["connectorrestores", "migrationrollbacks"] {
        let name = format!("{plural}.cde.productsup.com");
        let crd = env.kubectl(&["get", "crd", &name, "-o", "json"], "").await;
        let crd: Value = serde_json::from_str(&crd).expect("JSON");
        let mut found = Vec::new();
        undescribed(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], plural, &mut found);
        // Its description comes from the API server.
        found.retain(|path| path != &format!("{plural}.metadata"));
        assert_eq!(found, Vec::<String>::new());
        for column in crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array().expect("columns") {
            assert!(column["description"].is_string(), "{column}");
        }
        let explained = env.kubectl(&["explain", plural, "--recursive"], "").await;
        for field in ["connectorID", "notAfter", "suspend", "lastHandledRetry", "unknownAttempts", "outcome"]
        {
            assert!(explained.contains(field), "{field} in\n{explained}");
        }
    }
    let explained = env.kubectl(&["explain", "mrb.spec.version"], "").await;
    assert!(explained.contains("Version to roll back: main"), "{explained}");
}
