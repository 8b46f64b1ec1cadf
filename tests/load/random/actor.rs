//! What is done: a script is carried out, each kind of actor in a task of its own, until faults end; then all is
//! made well again.

mod api_server;
mod process;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cde_sandbox::proxy::Proxy;
use jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::task::JoinSet;

use self::process::Crew;
pub(crate) use self::process::RATE;
pub(crate) use self::process::{Freeze, Life};
use crate::random::script::{Act, CdeAct, Deed, Script, Timed};
use cde_harness::{Manifest, TestEnv, from_now, restore, rollback};

/// Where a script is carried out.
pub(crate) struct Stage {
    pub(crate) env: TestEnv,
    pub(crate) script: Script,
    /// One before each operator.
    pub(crate) proxies: Vec<Proxy>,
    /// Every token that was ever accepted.
    pub(crate) tokens: Mutex<Vec<String>>,
    begin: Instant,
}

/// How the faults ended.
pub(crate) struct Calm {
    /// The processes that run on, one for each number.
    pub(crate) running: Vec<Life>,
    /// Those that ended on the way.
    pub(crate) ended: Vec<Life>,
}

/// Carries the script out.
pub(crate) async fn play(env: TestEnv, script: Script) -> (Arc<Stage>, Calm) {
    let mut proxies = Vec::new();
    for _ in 0..script.operators {
        proxies.push(Proxy::start(&env.control_plane).await.unwrap());
    }
    for connector in &script.connectors {
        env.sandbox.put(connector.clone());
    }
    let tokens = Mutex::new(vec![env.sandbox.token()]);
    let stage = Arc::new(Stage { env, script, proxies, tokens, begin: Instant::now() });
    let mut lanes = JoinSet::new();
    lanes.spawn(stage.clone().people());
    lanes.spawn(stage.clone().cde());
    let mut crews = JoinSet::new();
    for number in 0..stage.script.operators {
        lanes.spawn(stage.clone().api_server(number));
        crews.spawn(Crew::work(stage.clone(), number));
    }
    lanes.join_all().await;
    let (running, ended): (Vec<_>, Vec<_>) = crews.join_all().await.into_iter().unzip();
    stage.calm().await;
    (stage, Calm { running, ended: ended.into_iter().flatten().collect() })
}

impl Stage {
    /// The acts that `mine` picks, each with its time.
    fn acts<T>(&self, mine: impl Fn(&Act) -> Option<T>) -> Vec<(Duration, T)> {
        let timed = |Timed { at, act }: &Timed| Some((*at, mine(act)?));
        self.script.acts.iter().filter_map(timed).collect()
    }

    /// Waits for that time; false where faults have ended by then: acts that are late fall away.
    async fn comes(&self, at: Duration) -> bool {
        tokio::time::sleep_until((self.begin + at).into()).await;
        !self.is_over()
    }

    fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// For how long faults go on.
    fn left(&self) -> Duration {
        self.script.length.saturating_sub(self.begin.elapsed())
    }

    /// Sleeps, but no longer than faults go on.
    async fn pass(&self, length: Duration) {
        tokio::time::sleep(length.min(self.left())).await;
    }

    async fn people(self: Arc<Self>) {
        let mine = |act: &Act| match act {
            Act::People(object, deed) => Some((*object, deed.clone())),
            _ => None,
        };
        for (at, (object, deed)) in self.acts(mine) {
            if !self.comes(at).await {
                break;
            }
            self.person(object, deed).await;
        }
    }

    /// What a person asks for may be refused, or come too late: that is theirs to bear.
    async fn person(&self, object: usize, deed: Deed) {
        let subject = &self.script.objects[object];
        let api = self.env.objects(subject.kind);
        let spec = match deed {
            Deed::Create { .. } => {
                let object = serde_json::from_str(&self.manifest(object, &deed).yaml()).unwrap();
                let _ = api.create(&PostParams::default(), &object).await;
                return;
            }
            Deed::Delete => {
                let _ = api.delete(&subject.name, &DeleteParams::default()).await;
                return;
            }
            Deed::Retry => {
                json!({"metadata": {"annotations": {"cde.productsup.com/retry": Timestamp::now().to_string()}}})
            }
            Deed::Suspend(suspend) => json!({"spec": {"suspend": suspend}}),
            Deed::Deadline(seconds) => json!({"spec": {"deadlineSeconds": seconds}}),
            Deed::NotAfter(seconds) => json!({"spec": {"notAfter": from_now(seconds)}}),
        };
        let _ = api.patch(&subject.name, &PatchParams::default(), &Patch::Merge(spec)).await;
    }

    fn manifest(&self, object: usize, deed: &Deed) -> Manifest {
        let subject = &self.script.objects[object];
        let mut manifest = match subject.kind {
            cde_harness::Kind::Restore => restore(&subject.name, subject.connector),
            cde_harness::Kind::Rollback => rollback(&subject.name, subject.connector, subject.version),
        };
        let Deed::Create { suspend, deadline, not_after, preconditions } = deed else { return manifest };
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
            if !self.comes(at).await {
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
                    let stage = self.clone();
                    later.spawn(async move {
                        stage.pass(told_after).await;
                        stage.tell_token();
                    });
                }
            }
        }
        later.join_all().await;
    }

    /// Puts the token that is accepted now into the token file, at one stroke as a kubelet does.
    fn tell_token(&self) {
        let (file, new) = (self.env.token_file(), self.env.scratch.path().join("token.new"));
        std::fs::write(&new, self.env.sandbox.token()).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// Faults end.
    async fn calm(&self) {
        self.env.sandbox.clear_faults();
        self.env.sandbox.up().await.unwrap();
        self.tell_token();
    }
}
