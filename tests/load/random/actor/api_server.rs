//! Faults of the requests of one operator on their way to the API server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cde_sandbox::proxy::{Call, Held, Point, Rule};
use http::Method;
use tokio::task::JoinSet;

use super::RunEnv;
use crate::random::script::{Act, ApiAct};

/// How long a fault waits for a matching request.
const PATIENCE: Duration = Duration::from_secs(2);

/// The kinds in paths.
const KINDS: [&str; 2] = ["connectorrestores", "migrationrollbacks"];
/// The only event of an expired watch.
const EXPIRED: &str = concat!(
    r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","message":"drawn","#,
    r#""reason":"Expired","code":410}}"#,
    "\n"
);

impl RunEnv {
    pub(super) async fn api_server(self: Arc<Self>, number: usize) {
        let mine = |act: &Act| match act {
            Act::ApiServer(of, act) if *of == number => Some(act.clone()),
            _ => None,
        };
        let mut later = JoinSet::new();
        for (at, act) in self.acts(mine) {
            if !self.wait_until(at).await {
                break;
            }
            let proxy = &self.proxies[number];
            match act {
                ApiAct::Answer { status, point, times } => {
                    let body = format!(
                        r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"drawn","code":{status}}}"#
                    );
                    proxy.answer(self.status_writes().times(times), point, status, &[], body);
                }
                ApiAct::Cut { all, point, times } => {
                    let rule = if all { self.for_a_while(Rule::any()) } else { self.status_writes() };
                    proxy.cut(rule.times(times), point);
                }
                ApiAct::Hold { claim, point, length, cut } => {
                    let rule = if claim { self.claims() } else { self.status_writes() };
                    let held = proxy.hold(rule, point);
                    let run_env = self.clone();
                    later.spawn(async move {
                        if tokio::time::timeout(PATIENCE, held.seen()).await.is_ok() {
                            run_env.sleep(length).await;
                        }
                        if cut { held.cut() } else { held.release() }
                    });
                }
                ApiAct::CutWatches => proxy.cut_watches(),
                ApiAct::ExpireWatches => {
                    for plural in KINDS {
                        let rule = self.for_a_while(Rule::watch(plural));
                        proxy.answer(rule, Point::BeforeForward, 200, &[], EXPIRED);
                    }
                    proxy.cut_watches();
                }
                ApiAct::DeafWatches { length } => {
                    let watches = KINDS.map(|plural| {
                        proxy.hold(self.for_a_while(Rule::watch(plural)).always(), Point::BeforeReply)
                    });
                    proxy.cut_watches();
                    let run_env = self.clone();
                    later.spawn(async move {
                        run_env.sleep(length).await;
                        watches.into_iter().for_each(Held::release);
                    });
                }
                ApiAct::Pause { length } => {
                    proxy.pause();
                    self.sleep(length).await;
                    proxy.resume();
                }
            }
        }
        later.join_all().await;
    }

    fn status_writes(&self) -> Rule {
        let is_write = |call: &Call| call.method == Method::PUT && call.path.ends_with("/status");
        self.for_a_while(Rule::any().and("a status write", is_write))
    }

    /// Matches the requests that write a claim.
    pub(super) fn claims(&self) -> Rule {
        self.status_writes().and("a claim", |call| call.json()["status"]["operation"]["inFlight"].is_object())
    }

    /// Returns the rule, limited to a while and to the time of the faults.
    fn for_a_while(&self, rule: Rule) -> Rule {
        let end = Instant::now() + PATIENCE.min(self.left());
        rule.and("in time", move |_| Instant::now() < end)
    }
}
