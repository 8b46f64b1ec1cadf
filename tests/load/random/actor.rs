//! Carries out a script, with one task per kind of actor, until the faults end, and then removes all faults.

mod api_server;
mod process;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cde_sandbox::proxy::Proxy;
use jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::task::JoinSet;

pub(crate) use self::process::RATE;
use self::process::Supervisor;
pub(crate) use self::process::{Freeze, Life};
use crate::random::script::{Act, CdeAct, PersonAct, Script, Timed};
use cde_harness::{Manifest, TestEnv, from_now, restore, rollback};

/// The environment in which a script is carried out.
pub(crate) struct RunEnv {
    pub(crate) env: TestEnv,
    pub(crate) script: Script,
    /// One proxy in front of each operator.
    pub(crate) proxies: Vec<Proxy>,
    /// Every token that was ever accepted.
    pub(crate) tokens: Mutex<Vec<String>>,
    begin: Instant,
}

/// The state after the faults.
pub(crate) struct AfterFaults {
    /// The processes that still run, one per operator.
    pub(crate) running: Vec<Life>,
    /// The processes that ended earlier.
    pub(crate) ended: Vec<Life>,
}

/// Carries out the script.
pub(crate) async fn run_script(env: TestEnv, script: Script) -> (Arc<RunEnv>, AfterFaults) {
    let mut proxies = Vec::new();
    for _ in 0..script.operators {
        proxies.push(Proxy::start(&env.control_plane).await.unwrap());
    }
    for connector in &script.connectors {
        env.sandbox.put(connector.clone());
    }
    let tokens = Mutex::new(vec![env.sandbox.token()]);
    let run_env = Arc::new(RunEnv { env, script, proxies, tokens, begin: Instant::now() });
    let mut lanes = JoinSet::new();
    lanes.spawn(run_env.clone().people());
    lanes.spawn(run_env.clone().cde());
    let mut supervisors = JoinSet::new();
    for number in 0..run_env.script.operators {
        lanes.spawn(run_env.clone().api_server(number));
        supervisors.spawn(Supervisor::work(run_env.clone(), number));
    }
    lanes.join_all().await;
    let (running, ended): (Vec<_>, Vec<_>) = supervisors.join_all().await.into_iter().unzip();
    run_env.end_faults().await;
    (run_env, AfterFaults { running, ended: ended.into_iter().flatten().collect() })
}

impl RunEnv {
    /// Returns the acts that `mine` selects, each with its time.
    fn acts<T>(&self, mine: impl Fn(&Act) -> Option<T>) -> Vec<(Duration, T)> {
        let timed = |Timed { at, act }: &Timed| Some((*at, mine(act)?));
        self.script.acts.iter().filter_map(timed).collect()
    }

    /// Waits until this time. Returns false if the faults have ended by then, so that late acts are dropped.
    async fn wait_until(&self, at: Duration) -> bool {
        tokio::time::sleep_until((self.begin + at).into()).await;
        !self.is_over()
    }

    fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Returns how long the faults still last.
    fn left(&self) -> Duration {
        self.script.length.saturating_sub(self.begin.elapsed())
    }

    /// Sleeps, but not longer than the faults last.
    async fn sleep(&self, length: Duration) {
        tokio::time::sleep(length.min(self.left())).await;
    }

    async fn people(self: Arc<Self>) {
        let mine = |act: &Act| match act {
            Act::People(object, act) => Some((*object, act.clone())),
            _ => None,
        };
        for (at, (object, act)) in self.acts(mine) {
            if !self.wait_until(at).await {
                break;
            }
            self.person(object, act).await;
        }
    }

    /// Carries out what a person does. The API server may reject it, or it may come too late.
    async fn person(&self, object: usize, act: PersonAct) {
        let subject = &self.script.objects[object];
        let api = self.env.objects(subject.kind);
        let spec = match act {
            PersonAct::Create { .. } => {
                let object = serde_json::from_str(&self.manifest(object, &act).yaml()).unwrap();
                let _ = api.create(&PostParams::default(), &object).await;
                return;
            }
            PersonAct::Delete => {
                let _ = api.delete(&subject.name, &DeleteParams::default()).await;
                return;
            }
            PersonAct::Retry => {
                json!({"metadata": {"annotations": {"cde.productsup.com/retry": Timestamp::now().to_string()}}})
            }
            PersonAct::Suspend(suspend) => json!({"spec": {"suspend": suspend}}),
            PersonAct::Deadline(seconds) => json!({"spec": {"deadlineSeconds": seconds}}),
            PersonAct::NotAfter(seconds) => json!({"spec": {"notAfter": from_now(seconds)}}),
        };
        let _ = api.patch(&subject.name, &PatchParams::default(), &Patch::Merge(spec)).await;
    }

    fn manifest(&self, object: usize, act: &PersonAct) -> Manifest {
        let subject = &self.script.objects[object];
        let mut manifest = match subject.kind {
            cde_harness::Kind::Restore => restore(&subject.name, subject.connector),
            cde_harness::Kind::Rollback => rollback(&subject.name, subject.connector, subject.version),
        };
        let PersonAct::Create { suspend, deadline, not_after, preconditions } = act else { return manifest };
        if *suspend {
            manifest = manifest.spec("suspend", true);
        }
        if let Some(seconds) = deadline {
            manifest = manifest.spec("deadlineSeconds", *seconds);
        }
        if let Some(seconds) = not_after {
            manifest = manifest.spec("notAfter", from_now(*seconds));
        }
        if *preconditions {
            let as_migrated =
                json!({"state": "synchronized-to-prod", "executables": {"production": 25, "legacy": 24}});
            manifest = manifest.spec("preconditions", as_migrated);
        }
        manifest
    }

    async fn cde(self: Arc<Self>) {
        let mut later = JoinSet::new();
        let mine = |act: &Act| match act {
            Act::Cde(act) => Some(act.clone()),
            _ => None,
        };
        let sandbox = &self.env.sandbox;
        for (at, act) in self.acts(mine) {
            if !self.wait_until(at).await {
                break;
            }
            match act {
                CdeAct::Inject(fault, id) => match id {
                    Some(id) => sandbox.inject(fault.connector(id)),
                    None => sandbox.inject(*fault),
                },
                CdeAct::Down => sandbox.down().await,
                CdeAct::Up => sandbox.up().await.unwrap(),
                CdeAct::Settle(id) => sandbox.settle(id),
                CdeAct::ReplaceToken { told_after } => {
                    let token = format!("token-{}", uuid::Uuid::new_v4());
                    self.tokens.lock().unwrap().push(token.clone());
                    sandbox.set_token(token);
                    let run_env = self.clone();
                    later.spawn(async move {
                        run_env.sleep(told_after).await;
                        run_env.write_token();
                    });
                }
            }
        }
        later.join_all().await;
    }

    /// Writes the accepted token into the token file atomically, as a kubelet does.
    fn write_token(&self) {
        let (file, new) = (self.env.token_file(), self.env.scratch.path().join("token.new"));
        std::fs::write(&new, self.env.sandbox.token()).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// Ends the faults.
    async fn end_faults(&self) {
        self.env.sandbox.clear_faults();
        self.env.sandbox.up().await.unwrap();
        self.write_token();
    }
}
