//! What befalls the requests of one operator on their way to the API server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cde_sandbox::proxy::{Call, Held, Point, Rule};
use http::Method;
use tokio::task::JoinSet;

use super::Stage;
use crate::random::script::{Act, ApiAct};

/// So long a fault waits for a request to meet.
const PATIENCE: Duration = Duration::from_secs(2);

/// In paths.
const KINDS: [&str; 2] = ["connectorrestores", "migrationrollbacks"];
/// The one event of a watch whose past is forgotten.
const FORGOTTEN: &str = concat!(
    r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","message":"drawn","#,
    r#""reason":"Expired","code":410}}"#,
    "\n"
);

impl Stage {
    pub(super) async fn api_server(self: Arc<Self>, number: usize) {
        let mine = |act: &Act| match act {
            Act::ApiServer(of, act) if *of == number => Some(act.clone()),
            _ => None,
        };
        let mut later = JoinSet::new();
        for (at, act) in self.acts(mine) {
            if !self.comes(at).await {
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
                    let stage = self.clone();
                    later.spawn(async move {
                        if tokio::time::timeout(PATIENCE, held.seen()).await.is_ok() {
                            stage.pass(length).await;
                        }
                        if cut { held.cut() } else { held.release() }
                    });
                }
                ApiAct::CutWatches => proxy.cut_watches(),
                ApiAct::ExpireWatches => {
                    for plural in KINDS {
                        let rule = self.for_a_while(Rule::watch(plural));
                        proxy.answer(rule, Point::BeforeForward, 200, &[], FORGOTTEN);
                    }
                    proxy.cut_watches();
                }
                ApiAct::DeafWatches { length } => {
                    let watches = KINDS.map(|plural| {
                        proxy.hold(self.for_a_while(Rule::watch(plural)).always(), Point::BeforeReply)
                    });
                    proxy.cut_watches();
                    let stage = self.clone();
                    later.spawn(async move {
                        stage.pass(length).await;
                        watches.into_iter().for_each(Held::release);
                    });
                }
                ApiAct::Pause { length } => {
                    proxy.pause();
                    self.pass(length).await;
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

    /// Requests of that kind which a claim is written with.
    pub(super) fn claims(&self) -> Rule {
        self.status_writes().and("a claim", |call| call.json()["status"]["operation"]["inFlight"].is_object())
    }

    /// The rule, until it was in force for a while, or faults end.
    fn for_a_while(&self, rule: Rule) -> Rule {
        let end = Instant::now() + PATIENCE.min(self.left());
        rule.and("in time", move |_| Instant::now() < end)
    }
}
