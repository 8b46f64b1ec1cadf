//! Shows that the benchmark works: runs every scenario that takes seconds once, and a comparison, with few objects.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test may panic, and its name is its documentation"
)]

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use cde_sandbox::control_plane::ControlPlane;
use cde_sandbox::process;
use cde_sandbox::program::{Profile, build};
use cde_sandbox::tools;
use serde_json::{Value, json};

/// The benchmark usually takes half a minute.
const LIMIT: Duration = Duration::from_mins(5);

/// Runs the benchmark within the limit, which does not include what a new machine has to build first.
async fn run(command: Command) -> Output {
    ControlPlane::prepare().await.unwrap();
    tokio::task::spawn_blocking(tools::authorization_server).await.unwrap().unwrap();
    tokio::time::timeout(LIMIT, process::output(command, b"")).await.unwrap().unwrap()
}

fn figure<'a>(report: &'a Value, scenario: &str, name: &str) -> &'a Value {
    let named = |list: &'a Value, key: &str, name: &str| -> &'a Value {
        let found = list.as_array().unwrap().iter().find(|one| one[key] == name);
        found.unwrap_or_else(|| panic!("{name} is missing from {list:#}"))
    };
    &named(&named(&report["scenarios"], "scenario", scenario)["figures"], "name", name)["median"]
}

#[tokio::test]
async fn every_short_scenario_measures_numbers_and_the_known_counts() {
    let scratch = process::scratch_dir().unwrap();
    let json = scratch.path().join("smoke.json");
    let operator = build("cde-operator", Profile::Dev, scratch.path()).await.unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.arg("--smoke").arg("--operator").arg(operator).arg("--json").arg(&json);
    let output = run(command).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    let report: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let played = report["scenarios"].as_array().unwrap();
    assert_eq!(played.len(), 12, "all scenarios except the outage and the one that needs Valgrind: {said}");
    for scenario in played {
        for figure in scenario["figures"].as_array().unwrap() {
            assert!(figure["median"].is_number(), "{} measures nothing: {figure}", scenario["scenario"]);
        }
    }
    for (scenario, name, known) in [
        ("requests", "restore: status writes", 2.0),
        ("requests", "rollback: status writes", 2.0),
        ("requests", "CDE calls that read", 1.0),
        ("requests", "CDE calls that change", 1.0),
        ("throughput", "Events of the operator", 1.0),
        ("history", "200: writes", 0.0),
        ("history", "200: calls to the CDE", 0.0),
        ("login-soak", "requests that did not succeed", 0.0),
        ("login-soak", "second effects on a connector", 0.0),
        ("login-soak", "refresh tokens spent twice without such a kill", 0.0),
    ] {
        assert_eq!(figure(&report, scenario, name), &json!(known), "{scenario}: {name}");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("== throughput: ") && text.contains("MEDIAN"), "{text}");
}

#[tokio::test]
async fn a_comparison_counts_one_effect_per_restore_and_no_second_one() {
    let scratch = process::scratch_dir().unwrap();
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/restore.yaml");
    let operator = build("cde-operator", Profile::Dev, scratch.path()).await.unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.arg("peer").arg("--operator").arg(operator).arg("--template").arg(template);
    command.args(["--end", "{.status.outcome}=Succeeded", "--objects", "5"]);
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let text = String::from_utf8_lossy(&output.stdout);
    let cell = |name: &str| {
        let line =
            text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        line.rsplit(' ').next().unwrap()
    };
    for (name, known) in [
        ("objects that reached their end", "5.00"),
        ("CDE calls", "1.00"),
        ("CDE effects", "1.00"),
        ("second effects on a connector", "0"),
        ("API server: all writes", "3.00"),
        ("API server: update", "2.00"),
        ("API server: writes of Events", "1.00"),
        ("API server: get", "0"),
    ] {
        assert_eq!(cell(name), known, "{name}: {text}");
    }
    for measured in ["throughput", "CPU of the controllers", "CPU of etcd and kube-apiserver"] {
        assert!(cell(measured).parse::<f64>().is_ok(), "{measured}: {text}");
    }
}
