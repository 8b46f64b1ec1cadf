//! Names that scripts, dashboards and manifests depend on: flags, their variables, and metrics.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use cde_sandbox::process::output;

use crate::tools::{test_env, tools};
use crate::upgrade::existing::{BOTH, check_end};
use crate::upgrade::version::Version;
use cde_harness::{Operator, Request, command, command_of};

/// Returns the flags and variables in a program's help.
async fn flags(mut program: Command) -> BTreeSet<String> {
    program.args(["run", "--help"]);
    let help = String::from_utf8(output(program, b"").await.unwrap().stdout).unwrap();
    let words = help.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_')));
    words.filter(|word| word.starts_with("--") || word.starts_with("CDE_")).map(str::to_owned).collect()
}

#[tokio::test]
async fn every_flag_and_variable_of_the_earlier_operator_still_exists() {
    let nowhere = Path::new("/missing");
    let old = flags(command_of(&tools().await.earlier.program(), nowhere)).await;
    let new = flags(command(nowhere)).await;
    assert!(old.contains("--token-file") && old.contains("CDE_TOKEN_FILE"), "{old:?}");
    assert_eq!(old.difference(&new).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// Returns the names and label names of all samples.
async fn metrics(operator: &mut Operator) -> BTreeSet<String> {
    let (_, text) = operator.probe("/metrics").await.expect("metrics");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| shape(line.rsplit_once(' ').map_or(line, |(sample, _)| sample))).collect()
}

/// Returns `name{a,b}` for `name{a="x",b="y"}`.
fn shape(sample: &str) -> String {
    let Some((name, labels)) = sample.trim_end_matches('}').split_once('{') else { return sample.to_owned() };
    let labels: Vec<&str> = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0)).collect();
    format!("{name}{{{}}}", labels.join(","))
}

/// What got another name before the first release, which set no name yet: the name before and after.
const RENAMED: [(&str, &str); 1] =
    [(concat!("cde_operator_", "calls{state}"), "cde_operator_circuit_breaker_state{state}")];

#[tokio::test]
async fn every_metric_of_the_earlier_operator_still_exists_with_its_labels() {
    let mut told = Vec::new();
    for version in [Version::Earlier, Version::Present] {
        let env = test_env().await;
        let mut operator = env.start(version.replica("one", "20s").await).await;
        for kind in BOTH {
            let [done, absent] = ["done", "absent"].map(|what| Request::new(kind, what));
            env.sandbox.put(done.ready_connector());
            env.apply_all([&done, &absent].map(Request::manifest)).await;
            check_end(&env, &done, 1, "Response").await;
            env.wait_for(&absent, "NotFound").await;
        }
        told.push(metrics(&mut operator).await);
    }
    assert!(told[0].len() > 10, "{told:#?}");
    for (before, after) in RENAMED {
        assert!(told[0].remove(before) && told[1].contains(after), "{before}: {told:#?}");
    }
    assert_eq!(told[0].difference(&told[1]).collect::<Vec<_>>(), Vec::<&String>::new());
}
