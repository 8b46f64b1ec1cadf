//! Two replicas in login mode share a login for a long time, and one of them is killed again and again: whether a call
//! lacks a valid token, and whether a refresh token is spent twice.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use anyhow::Result;
use cde_sandbox::cde::Remote;
use cde_sandbox::operator::Operator;
use jiff::{SignedDuration, Timestamp};
use kube::api::{ListParams, PostParams};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::{Scenario, Size};
use crate::figure::{Figures, Goal};
use crate::kind::Kind;
use crate::ledger::Ledger;
use crate::login::Login;
use crate::stage::Stage;
use crate::statistics::count;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "login-soak",
    about: "two replicas share a login whose access tokens live 5 s, and one is killed every 20 s",
    size: Size { objects: 0, concurrency: 0, minutes: 10.0 },
    smoke: Some(Size { objects: 0, concurrency: 0, minutes: 0.15 }),
    run: |stage, size| Box::pin(run(stage, size)),
};

const LIFETIME: Duration = Duration::from_secs(5);
/// The interval at which the older replica is killed. A short run has two kills as well.
const KILLED: Duration = Duration::from_secs(20);
/// The interval at which one object of each kind is created.
const TICK: Duration = Duration::from_millis(500);
/// The interval at which the access token is checked.
const CHECK: Duration = Duration::from_millis(50);
/// A refresh takes less. A longer time without a usable token follows from a kill.
const REFRESH: SignedDuration = SignedDuration::from_secs(1);
/// The time limit for the last requests: a Lease, a claim of a refresh, and some time for a busy machine.
const FINISH_LIMIT: Duration = Duration::from_mins(2);
const FLAGS: [&str; 9] =
    ["--leader-election=true", "--timeout", "3s", "--retry-min", "100ms", "--retry-max", "1s", "--rate", "0"];

/// What became of the login.
#[derive(Default)]
struct Observed {
    /// When no access token was usable: from the last check that found one to the next.
    without_token: Vec<[Timestamp; 2]>,
    /// Logins that a person had to repeat.
    logins: usize,
}

impl Observed {
    /// Returns whether there was no usable token at this time, for longer than a refresh takes.
    fn is_outage(&self, at: Timestamp) -> bool {
        let is_long = |[from, to]: &&[Timestamp; 2]| to.duration_since(*from) > REFRESH;
        self.without_token.iter().filter(is_long).any(|[from, to]| (*from..=*to).contains(&at))
    }
}

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    let mut login = Login::new(stage, LIFETIME).await?;
    let cde = stage.cde_with_introspection(&login.server.introspection_url()).await?;
    let namespace = stage.namespace("login-soak").await?;
    let length = Duration::from_mins(1).mul_f64(size.minutes);
    let (flags, mut observed) = (login.flags(), Observed::default());
    let work = async {
        let work = Work { stage, cde: &cde, namespace: &namespace, end: Instant::now() + length };
        let created = async { work.create().await };
        let (created, (replicas, kills)) =
            tokio::try_join!(created, work.replicas(&flags, KILLED.min(length / 3)))?;
        let unfinished = work.unfinished().await?;
        drop(replicas);
        anyhow::Ok((created, kills, unfinished))
    };
    let (created, kills, unfinished) = tokio::select! {
        done = work => done?,
        failed = keep_login(&mut login, &mut observed) => match failed? {},
    };
    let (statistics, ledger) = (login.server.statistics().await?, Ledger::of(&cde).await?);
    let number = |value: u64| count(usize::try_from(value).unwrap_or(usize::MAX));
    // A process that dies between spend and store leaves a spent token, which each of the others may try once.
    let unexplained = number(statistics.reuse_detections) - 2.0 * count(observed.logins);
    let without = ledger.unauthorized(|_| true);
    let avoidable = ledger.unauthorized(|at| !observed.is_outage(at));
    let longest = observed.without_token.iter().map(|[from, to]| to.duration_since(*from).as_secs_f64());

    let mut figures = Figures::default();
    let per_minute = number(statistics.refreshes) / size.minutes;
    figures.judge("refreshes per minute", "1/min", per_minute, Goal::AtLeast(10.0));
    figures.add("refreshes", "", number(statistics.refreshes));
    figures.add("replicas killed", "", count(kills));
    figures.add("requests created", "", count(created));
    figures.judge("requests that did not succeed", "", count(unfinished), Goal::AtMost(0.0));
    figures.add("calls to the CDE", "", count(ledger.calls.len()));
    figures.add("calls without a valid token", "", count(without));
    figures.judge("the same, except while a kill left no token", "", count(avoidable), Goal::AtMost(0.0));
    figures.judge("second effects on a connector", "", count(ledger.second_effects()), Goal::AtMost(0.0));
    figures.add("refresh tokens spent twice", "", number(statistics.reuse_detections));
    figures.add("logins lost to a kill between spend and store", "", count(observed.logins));
    figures.judge(
        "refresh tokens spent twice without such a kill",
        "",
        unexplained.max(0.0),
        Goal::AtMost(0.0),
    );
    figures.add("longest time without a usable access token", "s", longest.fold(0.0, f64::max));
    Ok(figures)
}

/// Checks the access token again and again, and logs in when an operator asks for it. Returns only after an error.
async fn keep_login(login: &mut Login, observed: &mut Observed) -> Result<Infallible> {
    let mut usable_at = Timestamp::now();
    // Whether the last of the times without a token has not ended.
    let mut is_without = false;
    loop {
        let checked = Timestamp::now();
        let is_usable = login.is_usable().await?;
        if !is_usable && !is_without {
            observed.without_token.push([usable_at, checked]);
            is_without = true;
        }
        if let (true, Some([_, to])) = (is_without, observed.without_token.last_mut()) {
            *to = Timestamp::now();
        }
        if is_usable {
            (usable_at, is_without) = (checked, false);
        } else if login.is_required().await? {
            login.log_in().await?;
            observed.logins += 1;
        }
        tokio::time::sleep(CHECK).await;
    }
}

struct Work<'a> {
    stage: &'a Stage,
    cde: &'a Remote,
    namespace: &'a str,
    end: Instant,
}

impl Work<'_> {
    /// Creates requests of both kinds until the end, and returns how many.
    async fn create(&self) -> Result<usize> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut created = 0;
        while Instant::now() < self.end {
            ticks.tick().await;
            for kind in Kind::ALL {
                let (connector, name) = (Uuid::new_v4(), format!("login-{}", Uuid::new_v4().simple()));
                self.cde.put(&[kind.willing(connector)]).await?;
                let object = serde_json::from_value(kind.manifest(&name, connector))?;
                let api = kind.api(&self.stage.admin, self.namespace);
                api.create(&PostParams::default(), &object).await?;
                created += 1;
            }
        }
        Ok(created)
    }

    /// Runs two replicas. At each `interval` until the end, kills the older one, which usually leads, and starts another.
    /// Returns the last two and the number of kills.
    async fn replicas(&self, login: &[String], interval: Duration) -> Result<(VecDeque<Operator>, usize)> {
        let flags: Vec<&str> = FLAGS.into_iter().chain(login.iter().map(String::as_str)).collect();
        let start = async || self.stage.operator_in_login_mode(self.cde, self.namespace, &flags).await;
        let mut replicas = VecDeque::from([start().await?, start().await?]);
        let (mut kill_at, mut kills) = (Instant::now() + interval, 0);
        while kill_at < self.end {
            tokio::time::sleep_until(kill_at.into()).await;
            // SIGKILL.
            drop(replicas.pop_front());
            kills += 1;
            replicas.push_back(start().await?);
            kill_at += interval;
        }
        tokio::time::sleep_until(self.end.into()).await;
        Ok((replicas, kills))
    }

    /// Waits until all requests have succeeded, and returns how many have not in the end.
    async fn unfinished(&self) -> Result<usize> {
        if self.stage.all_succeeded(self.namespace, FINISH_LIMIT).await.is_ok() {
            return Ok(0);
        }
        let mut unfinished = 0;
        let params = ListParams::default().fields("status.outcome!=Succeeded");
        for kind in Kind::ALL {
            let api = kind.api(&self.stage.admin, self.namespace);
            unfinished += api.list_metadata(&params).await?.items.len();
        }
        Ok(unfinished)
    }
}
