//! One run: the script is played, faults end, all objects end, what is left is gathered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cde_sandbox::cde::{Connector, RollbackEffect};
use http::Method;
use serde_json::Value;

use crate::random::actor::{Life, RATE, Stage, play};
use crate::random::evidence::{Evidence, History, Process};
use crate::random::recorder::Recorder;
use crate::random::script::Script;
use cde_harness::{POLL, TestEnv};

/// All ends come by then after the last fault: a claim that must be waited out, a pass that begins again after up to a
/// minute (an API server that failed it seven times in a row), and what follows.
const ENDS_WITHIN: Duration = Duration::from_secs(100);

/// What a run was and what it left.
pub(crate) struct Run {
    pub(crate) script: Script,
    pub(crate) evidence: Evidence,
    /// How long after the last fault all had ended.
    pub(crate) ended_after: Duration,
}

/// Plays the script and gathers what is left.
pub(crate) async fn run(script: Script) -> Run {
    let env = TestEnv::new().await;
    let recorder = Recorder::start(&env);
    let (stage, calm) = play(env, script).await;
    let begun = Instant::now();
    all_end(&stage, &recorder).await;
    let ended_after = begun.elapsed();

    let mut processes: Vec<Process> = calm.ended.into_iter().map(|life| process(life, None)).collect();
    let mut shown = Vec::new();
    for mut life in calm.running {
        let figures = life.operator.probe("/metrics").await.map(|(_, text)| text);
        life.stop().await;
        processes.push(process(life, figures.as_deref()));
        shown.extend(figures.map(|text| ("the figures".to_owned(), text)));
    }
    // From here on nothing changes any more.
    let histories = recorder.catches_up(&stage.env).await;
    shown.push(("the Events".to_owned(), events(&stage.env).await));
    for process in &processes {
        shown.push((format!("the log of {}", process.pod), process.log.clone()));
    }
    for history in &histories {
        shown.push((history.name().to_owned(), format!("{:?}", history.versions)));
    }
    let mut secrets = stage.tokens.lock().unwrap().clone();
    secrets.push(kubernetes_token(&stage.env).await);
    let evidence = Evidence {
        ledger: stage.env.sandbox.ledger().calls().to_vec(),
        connectors: stage.script.connectors.iter().map(|it| (it.id, it.clone())).collect(),
        histories,
        processes,
        rate: RATE,
        operators: stage.script.operators,
        seconds: usize::try_from((stage.script.length + ended_after).as_secs()).unwrap(),
        writes_sent: writes_sent(&stage),
        shown,
        secrets,
    };
    Run { script: stage.script.clone(), evidence, ended_after }
}

/// Waits until all objects have ended; those that do not are the oracle's to find.
async fn all_end(stage: &Arc<Stage>, recorder: &Recorder) {
    let begun = Instant::now();
    let moving = |one: &&Connector| one.rollback == RollbackEffect::Moving;
    while begun.elapsed() < ENDS_WITHIN {
        stage.script.connectors.iter().filter(moving).for_each(|one| stage.env.sandbox.settle(one.id));
        if recorder.histories().iter().all(History::has_ended) {
            let stored = recorder.catches_up(&stage.env).await;
            if stored.iter().all(History::has_ended) {
                return;
            }
        }
        tokio::time::sleep(4 * POLL).await;
    }
}

fn process(life: Life, figures: Option<&str>) -> Process {
    let log = life.operator.log();
    let reconciles = figures.map(|text| {
        let samples = text.lines().filter(|line| line.starts_with("cde_operator_reconciles_total{"));
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
    });
    Process { pod: life.pod, freezes: life.freezes, complaint: life.complaint, reconciles, log }
}

/// Status writes as they arrived at the proxies, by the object's name.
fn writes_sent(stage: &Stage) -> HashMap<String, usize> {
    let mut sent = HashMap::new();
    for exchange in stage.proxies.iter().flat_map(cde_sandbox::proxy::Proxy::ledger) {
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

/// Of the operator's account, the part that is the same for all its tokens.
async fn kubernetes_token(env: &TestEnv) -> String {
    let kubeconfig: Value =
        serde_json::from_slice(&std::fs::read(env.kubeconfig(None).await).unwrap()).unwrap();
    let token = kubeconfig["users"][0]["user"]["token"].as_str().unwrap();
    token.split('.').next().unwrap().to_owned()
}
