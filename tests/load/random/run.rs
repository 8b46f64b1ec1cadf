//! One run: carries out the script, ends the faults, waits until all objects have ended, and gathers the evidence.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cde_sandbox::cde::{Connector, RollbackEffect};
use http::Method;
use serde_json::Value;

use crate::random::actor::{Life, RATE, RunEnv, run_script};
use crate::random::evidence::{Evidence, History, Process};
use crate::random::recorder::Recorder;
use crate::random::script::Script;
use cde_harness::{POLL, TestEnv};

/// How long after the last fault all objects have ended: a claim that must be waited out, a reconciliation that is
/// repeated after up to a minute (if the API server failed it seven times in a row), and what follows.
const ENDS_WITHIN: Duration = Duration::from_secs(100);

/// The result of a run.
pub(crate) struct Run {
    pub(crate) script: Script,
    pub(crate) evidence: Evidence,
    /// How long after the last fault all objects had ended.
    pub(crate) ended_after: Duration,
}

/// Carries out the script and gathers the evidence.
pub(crate) async fn run(script: Script) -> Run {
    let env = TestEnv::new().await;
    let recorder = Recorder::start(&env);
    let (run_env, after_faults) = run_script(env, script).await;
    let begun = Instant::now();
    all_end(&run_env, &recorder).await;
    let ended_after = begun.elapsed();

    let mut processes: Vec<Process> =
        after_faults.ended.into_iter().map(|life| process(life, None)).collect();
    let mut shown = Vec::new();
    for mut life in after_faults.running {
        let metrics = life.operator.probe("/metrics").await.map(|(_, text)| text);
        life.stop().await;
        processes.push(process(life, metrics.as_deref()));
        shown.extend(metrics.map(|text| ("the metrics".to_owned(), text)));
    }
    // Nothing changes from here on.
    let histories = recorder.catches_up(&run_env.env).await;
    shown.push(("the Events".to_owned(), events(&run_env.env).await));
    for process in &processes {
        shown.push((format!("the log of {}", process.pod), process.log.clone()));
    }
    for history in &histories {
        shown.push((history.name().to_owned(), format!("{:?}", history.versions)));
    }
    let mut secrets = run_env.tokens.lock().unwrap().clone();
    secrets.push(kubernetes_token(&run_env.env).await);
    let evidence = Evidence {
        ledger: run_env.env.sandbox.ledger().calls().to_vec(),
        connectors: run_env.script.connectors.iter().map(|it| (it.id, it.clone())).collect(),
        histories,
        processes,
        rate: RATE,
        operators: run_env.script.operators,
        seconds: usize::try_from((run_env.script.length + ended_after).as_secs()).unwrap(),
        writes_sent: writes_sent(&run_env),
        shown,
        secrets,
    };
    Run { script: run_env.script.clone(), evidence, ended_after }
}

/// Waits until all objects have ended. The oracle reports those that do not.
async fn all_end(run_env: &Arc<RunEnv>, recorder: &Recorder) {
    let begun = Instant::now();
    let moving = |one: &&Connector| one.rollback == RollbackEffect::Moving;
    while begun.elapsed() < ENDS_WITHIN {
        run_env.script.connectors.iter().filter(moving).for_each(|one| run_env.env.sandbox.settle(one.id));
        if recorder.histories().iter().all(History::has_ended) {
            let stored = recorder.catches_up(&run_env.env).await;
            if stored.iter().all(History::has_ended) {
                return;
            }
        }
        tokio::time::sleep(4 * POLL).await;
    }
}

fn process(life: Life, metrics: Option<&str>) -> Process {
    let log = life.operator.log();
    let reconciles = metrics.map(|text| {
        let samples = text.lines().filter(|line| line.starts_with("cde_operator_reconciles_total{"));
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
    });
    Process { pod: life.pod, freezes: life.freezes, complaint: life.complaint, reconciles, log }
}

/// Returns the status writes that arrived at the proxies, by the object's name.
fn writes_sent(run_env: &RunEnv) -> HashMap<String, usize> {
    let mut sent = HashMap::new();
    for exchange in run_env.proxies.iter().flat_map(cde_sandbox::proxy::Proxy::ledger) {
        let path = exchange.call.path.strip_suffix("/status").filter(|_| exchange.call.method == Method::PUT);
        if let Some((_, name)) = path.and_then(|path| path.rsplit_once('/')) {
            *sent.entry(name.to_owned()).or_default() += 1;
        }
    }
    sent
}

async fn events(env: &TestEnv) -> String {
    env.kubectl(&["get", "events.events.k8s.io", "-o", "yaml"], "").await
}

/// Returns the part of the operator's service account token that is the same in all its tokens.
async fn kubernetes_token(env: &TestEnv) -> String {
    let kubeconfig: Value =
        serde_json::from_slice(&std::fs::read(env.kubeconfig(None).await).unwrap()).unwrap();
    let token = kubeconfig["users"][0]["user"]["token"].as_str().unwrap();
    token.split('.').next().unwrap().to_owned()
}
