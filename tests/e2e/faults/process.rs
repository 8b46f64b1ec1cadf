//! The process as a cluster sees it: probes, metrics, logs, and its demands on Kubernetes.

use std::collections::BTreeMap;

use axum::Router;
use axum::routing::get;
use cde_sandbox::cde::{Fault, Operation};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::{Value, json};

use crate::faults::request::{Request, a_restore, a_rollback, apply, both, ended};
use cde_harness::{ControlPlane, Flags, LIMIT, Operator, POLL, TestEnv, command, property};

/// Waits until `/metrics` satisfies `condition`.
async fn metrics(operator: &mut Operator, what: &str, condition: impl Fn(&str) -> bool) -> String {
    let begun = std::time::Instant::now();
    loop {
        let (code, text) = operator.probe("/metrics").await.expect("/metrics answers");
        assert_eq!(code, 200, "{text}");
        if condition(&text) {
            return text;
        }
        assert!(begun.elapsed() < LIMIT, "{what} is not in\n{text}");
        tokio::time::sleep(POLL).await;
    }
}

/// Returns the samples of a metric by their labels.
fn samples(text: &str, name: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter_map(|rest| {
            let (labels, value) = rest.rsplit_once(' ')?;
            let value = value.parse().ok()?;
            let labels = labels.trim_matches(['{', '}']);
            (labels.is_empty() || rest.starts_with('{')).then(|| (labels.to_owned(), value))
        })
        .collect()
}

fn objects(text: &str, kind: &str, reason: &str) -> u64 {
    let labels = format!("kind=\"{kind}\",reason=\"{reason}\"");
    samples(text, "cde_operator_objects").get(&labels).copied().unwrap_or_default()
}

#[tokio::test]
async fn the_metrics_follow_the_objects() {
    let (env, mut operator) = TestEnv::with_operator().await;
    let [done, failed] = [a_rollback(&env.sandbox, "done"), a_rollback(&env.sandbox, "failed")];
    let suspended = a_restore(&env.sandbox, "suspended");
    env.sandbox.remove(failed.id);
    apply(&env, &[done.clone(), failed.clone()]).await;
    env.apply(&suspended.manifest().spec("suspend", true)).await;
    done.succeeds(&env).await;
    failed.wait_for_reason(&env, "NotFound").await;
    suspended.wait_for_reason(&env, "Suspended").await;

    let text = metrics(&mut operator, "three objects", |text| {
        objects(text, "MigrationRollback", "NotFound") == 1
            && objects(text, "ConnectorRestore", "Suspended") == 1
            && samples(text, "cde_operator_objects").values().sum::<u64>() == 2
    })
    .await;

    let finished = samples(&text, "cde_operator_requests_finished_total");
    let of = |outcome: &str, reason: &str| {
        let labels = format!("kind=\"MigrationRollback\",outcome=\"{outcome}\",reason=\"{reason}\"");
        finished.get(&labels).copied()
    };
    assert_eq!((of("Succeeded", "RolledBack"), of("Failed", "NotFound")), (Some(1), Some(1)), "{text}");
    suspended.patch_spec(&env, &json!({"suspend": false})).await;
    suspended.succeeds(&env).await;
    env.delete(failed.kind, &failed.name).await;
    metrics(&mut operator, "no object", |text| {
        samples(text, "cde_operator_objects").values().sum::<u64>() == 0
    })
    .await;
}

#[tokio::test]
async fn the_metrics_follow_the_naming_rules_of_prometheus_and_name_no_object() {
    let (env, mut operator) = TestEnv::with_operator().await;
    let requests = both(&env.sandbox, "canary-name");
    env.sandbox.inject(Fault::on(Operation::Changing).connector(requests[0].id).answer(423));
    apply(&env, &requests).await;
    for request in &requests {
        request.succeeds(&env).await;
    }
    let is_told =
        |text: &str| samples(text, "cde_operator_requests_finished_total").values().sum::<u64>() == 2;
    let text = metrics(&mut operator, "two ends", is_told).await;

    // In OpenMetrics the suffix of a counter is not part of the name of its family.
    let types: BTreeMap<String, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split_once(' '))
        .map(|(name, type_)| (format!("{name}{}", if type_ == "counter" { "_total" } else { "" }), type_))
        .collect();
    for (name, type_) in [
        ("cde_operator_reconciles_total", "counter"),
        ("cde_api_requests_total", "counter"),
        ("cde_api_request_duration_seconds", "histogram"),
        ("cde_operator_objects", "gauge"),
        ("cde_operator_requests_finished_total", "counter"),
        ("cde_operator_waits_total", "counter"),
        ("cde_operator_foreign_objects", "gauge"),
        ("cde_operator_circuit_breaker_state", "gauge"),
        ("cde_operator_process_cpu_seconds_total", "counter"),
        ("cde_operator_process_resident_memory_bytes", "gauge"),
        ("cde_operator_process_open_fds", "gauge"),
        ("cde_operator_process_start_time_seconds", "gauge"),
    ] {
        assert_eq!(types.get(name), Some(&type_), "{name} in\n{text}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        assert!(name.starts_with("cde_operator_") || name.starts_with("cde_api_"), "{line}");
        let counter = types.iter().any(|(family, type_)| *type_ == "counter" && name.starts_with(family));
        assert_eq!(name.ends_with("_total"), counter, "{line}");
    }
    for (labels, count) in [
        (r#"operation="read",code="200""#, 2),
        (r#"operation="rollback",code="423""#, 1),
        (r#"operation="rollback",code="200""#, 1),
        (r#"operation="restore",code="200""#, 1),
    ] {
        assert_eq!(samples(&text, "cde_api_requests_total").get(labels), Some(&count), "{labels} in\n{text}");
    }
    let waits = samples(&text, "cde_operator_waits_total");
    assert_eq!(waits.get(r#"kind="MigrationRollback",reason="Retrying""#), Some(&1), "{text}");
    assert_eq!(samples(&text, "cde_api_request_duration_seconds_count").values().sum::<u64>(), 5, "{text}");
    // The watch metrics follow the configuration, so they have labels for kind and namespace.
    let text = text
        .lines()
        .filter(|line| !line.starts_with("cde_operator_watch_up{"))
        .collect::<Vec<_>>()
        .join("\n");
    for word in ["canary", &env.namespace, &requests[0].id.to_string(), "http"] {
        assert!(!text.contains(word), "{word} in\n{text}");
    }
    assert_eq!(operator.probe("/livez").await.unwrap().0, 200);
    assert_eq!(operator.probe("/nowhere").await.unwrap().0, 404);
}

#[tokio::test]
async fn json_log_lines_about_a_request_name_the_request_and_the_attempt() {
    let (env, operator) = TestEnv::with_operator().await;
    let requests = both(&env.sandbox, "struck");
    for request in &requests {
        env.sandbox.inject(Fault::on(Operation::Changing).connector(request.id).answer(423));
    }
    apply(&env, &requests).await;
    let mut ids = Vec::new();
    for request in &requests {
        ids.push(request.succeeds(&env).await.operation()["id"].clone());
    }
    operator.wait_for_log("Rolled back version").await;

    let lines: Vec<Value> = operator
        .log()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();

    let mut attempts = Vec::new();
    for line in lines.iter().filter(|line| line["name"] == "struck") {
        assert_eq!(line["namespace"], env.namespace, "{line}");
        assert!(ids.contains(&line["operation"]), "an unknown operation: {line}");
        attempts.push(line["attempt"].as_u64().unwrap_or_else(|| panic!("no attempt: {line}")));
    }
    for attempt in [1, 2] {
        assert!(attempts.contains(&attempt), "no line of attempt {attempt}: {attempts:?}");
    }
}

#[tokio::test]
async fn the_printed_crds_are_those_of_the_repository() {
    let mut command = command("/missing".as_ref());
    command.arg("crds");
    let printed = ended(command).await;
    assert_eq!(printed.status.code(), Some(0));
    let kept: String = ["connectorrestores", "migrationrollbacks"]
        .map(|kind| format!("{}/crds/{kind}.cde.productsup.com.yaml", env!("CARGO_MANIFEST_DIR")))
        .map(|path| format!("---\n{}", std::fs::read_to_string(path).unwrap()))
        .concat();
    let plain =
        |text: &str| text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    assert_eq!(plain(&String::from_utf8(printed.stdout).unwrap()), plain(&kept));
}

#[tokio::test]
async fn an_old_kubernetes_release_exits_with_code_2_and_one_sentence() {
    let env = TestEnv::new().await;
    let version = json!({
        "major": "1", "minor": "31", "gitVersion": "v1.31.9", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "", "goVersion": "", "compiler": "gc", "platform": "",
    });
    let router = Router::new().route("/version", get(move || async move { version.to_string() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let kubeconfig = env.kubeconfig(Some(&server)).await;
    let mut command = command(&kubeconfig);
    command
        .args(["run", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .env("CDE_URL", env.sandbox.url())
        .env("CDE_TOKEN_FILE", env.token_file());

    let ended = ended(command).await;

    serving.abort();
    let said = String::from_utf8(ended.stderr).unwrap();
    let sentences: Vec<&str> = said.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!((ended.status.code(), sentences.len()), (Some(2), 1), "{said}");
    assert!(sentences[0].contains("1.31") && sentences[0].contains("1.32"), "{said}");
    assert_eq!(env.sandbox.ledger().total(), 0);
}

/// The CRDs are missing, then too old, then right.
#[tokio::test]
async fn nothing_is_claimed_until_the_crds_are_installed_and_new_enough() {
    let env = TestEnv::on(ControlPlane::own().await).await;
    let mut operator = env.start(Flags::default().without_readiness_wait()).await;
    operator.wait_for_log("apply crds/").await;
    assert_eq!(operator.probe("/livez").await.unwrap().0, 200);
    let (code, why) = operator.probe("/readyz").await.unwrap();
    assert_eq!((code, why.contains("apply crds/")), (503, true), "{why}");

    let without_claims = |status: &mut JSONSchemaProps| {
        let operation = property(status, "operation").properties.as_mut().unwrap();
        operation.remove("inFlight").unwrap();
    };
    env.control_plane.apply_crds_with_status(without_claims).await;
    operator.wait_for_log("lack").await;
    let requests = both(&env.sandbox, "early");
    until_accepted(&env, &requests).await;
    assert_eq!(operator.probe("/readyz").await.unwrap().0, 503);
    for request in &requests {
        assert_eq!(request.get(&env).await.status()["observedGeneration"], -1);
    }
    assert_eq!(env.sandbox.ledger().total(), 0);

    env.control_plane.apply_crds().await;
    operator.ready().await;
    for request in &requests {
        request.succeeds(&env).await;
        assert_eq!(env.sandbox.effects(request.id), 1);
    }
}

async fn until_accepted(env: &TestEnv, requests: &[Request]) {
    for request in requests {
        let begun = std::time::Instant::now();
        while let Err(refusal) = env.try_kubectl(&["apply", "-f", "-"], &request.manifest().yaml()).await {
            assert!(begun.elapsed() < LIMIT, "{refusal}");
        }
    }
}
