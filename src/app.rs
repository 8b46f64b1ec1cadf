//! Wiring: configuration, clients, lease, controllers, admin server, and an end in order.

use std::sync::Arc;
use std::time::Duration;

use kube::client::ClientBuilder;
use kube::{Client, Config};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::api::{ConnectorRestore, MigrationRollback};
use crate::cde::{BaseUrl, Client as CdeClient, ClientConfig, TokenFile};
use crate::config::RunArgs;
use crate::controller::{
    API_SERVER_TIMEOUT, CrdState, DRAIN, Events, Gate, Metrics, Rate, Roster, STUCK, Scope, Shared, Stop,
    WATCH_TIMEOUT, run as run_controller, watch_crds,
};
use crate::operation::Settings;
use crate::runtime::admin::{Admin, serve};
use crate::runtime::lease::{Lease, REQUEST_TIMEOUT};
use crate::runtime::process::ProcessFigures;
use crate::runtime::progress::Progress;
use crate::runtime::telemetry;

/// The oldest Kubernetes whose API server has what the operator needs: selectable fields of custom resources.
const OLDEST_KUBERNETES: (u32, u32) = (1, 32);
/// How often the token file is read.
const TOKEN_INTERVAL: Duration = Duration::from_secs(2);
/// Beyond a call that is under way, an ordered end takes so long at most.
const END_MARGIN: Duration = Duration::from_secs(6);

/// Why the operator ends other than by order.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Said before anything is contacted, or of a Kubernetes that is too old: exit code 2.
    #[error("{0}")]
    Configuration(String),
    /// Exit code 1.
    #[error("{0}")]
    Failed(String),
}

/// Runs the operator until it is told to stop.
///
/// # Errors
/// [`Error`], as its variants say.
pub fn run(args: RunArgs) -> Result<(), Error> {
    args.check().map_err(Error::Configuration)?;
    // It fails only where another provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let base = BaseUrl::parse(&args.url, args.allow_http).map_err(configuration)?;
    let tokens = TokenFile::open(&args.token_file).map_err(configuration)?;
    let cde = CdeClient::new(&ClientConfig {
        base: base.clone(),
        timeout: args.timeout,
        ca_file: args.ca_file.clone(),
        user_agent: concat!("cde-operator/", env!("CARGO_PKG_VERSION")).to_owned(),
    })
    .map_err(configuration)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Failed(format!("the runtime cannot start: {error}")))?;
    let result = runtime.block_on(async {
        let kube = Config::infer().await.map_err(|error| {
            Error::Configuration(format!("no access to Kubernetes is configured (KUBECONFIG, in-cluster): {error}"))
        })?;
        let listener = TcpListener::bind(args.listen).await.map_err(|error| {
            Error::Configuration(format!("--listen {} cannot be used: {error}", args.listen))
        })?;
        telemetry::start(args.log_format);
        Operator { args, base: base.as_str().to_owned(), tokens: Arc::new(tokens), cde, kube }.run(listener).await
    });
    // What is still under way past its time is left to verification.
    runtime.shutdown_background();
    result
}

fn configuration(error: impl std::fmt::Display) -> Error {
    Error::Configuration(error.to_string())
}

struct Operator {
    args: RunArgs,
    base: String,
    tokens: Arc<TokenFile>,
    cde: CdeClient,
    kube: Config,
}

impl Operator {
    async fn run(self, listener: TcpListener) -> Result<(), Error> {
        let mut terminate = Terminate::new()?;
        let progress = Progress::default();
        let client = self.client(API_SERVER_TIMEOUT, None)?;
        let me = self.holder();
        let (events, publishing) = Events::new(client.clone(), &me);
        let (shared, registry) = self.shared(client.clone(), me.clone(), events);
        let (listed, _) = watch::channel(0);
        let scopes = self.scopes();
        let admin = self.admin(&shared, registry, listed.subscribe(), 2 * scopes.len(), progress.clone());

        let address = listener.local_addr().unwrap_or(self.args.listen).to_string();
        let mut background = JoinSet::new();
        let (end_admin, admin_ends) = tokio::sync::oneshot::channel::<()>();
        background.spawn(async move {
            let _ = serve(listener, admin, async { drop(admin_ends.await) }).await;
        });
        let publishing = tokio::spawn(publishing);
        tracing::info!(version = env!("CARGO_PKG_VERSION"), holder = me, server = self.base, listen = address, "starting");

        let work = async {
            check_kubernetes(&client).await?;
            self.background(&shared, &client, &mut background);
            shared.crds.good().await;
            let lease = self.lease(&me).await?;
            if let Some(lease) = &lease {
                lease.held().await;
                tracing::info!("this replica leads");
            }
            let watch_client = self.client(WATCH_TIMEOUT, Some(progress))?;
            let controllers = self.controllers(&shared, &watch_client, scopes, &listed);
            Ok::<_, Error>((lease, controllers))
        };
        let (lease, mut controllers) = tokio::select! {
            started = work => started?,
            () = terminate.received() => return Ok(()),
        };
        let lost = async {
            match &lease {
                Some(lease) => lease.lost().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = lost => return Err(Error::Failed("the Lease is lost: another replica takes over".to_owned())),
            ended = controllers.join_next() => {
                return Err(Error::Failed(format!("a controller ended by itself: {ended:?}")));
            }
            () = terminate.received() => {}
        }
        tracing::info!("stopping: what is under way is finished and recorded");
        self.end(&shared).await;
        if let Some(lease) = &lease {
            lease.release().await;
        }
        drop((shared, controllers, end_admin));
        let _ = tokio::time::timeout(DRAIN, publishing).await;
        tracing::info!("stopped");
        Ok(())
    }

    /// Takes nothing new, and waits for what is under way.
    async fn end(&self, shared: &Shared) {
        shared.stop.order();
        let all = shared.workers.acquire_many(u32::from(self.args.concurrency));
        if tokio::time::timeout(self.args.timeout + END_MARGIN, all).await.is_err() {
            tracing::warn!("a call or its record took too long; the next start verifies it");
        }
    }

    /// A client for the API server: its own retries off, every wait bounded.
    fn client(&self, read: Duration, progress: Option<Progress>) -> Result<Client, Error> {
        let mut config = self.kube.clone();
        config.default_retry = false;
        config.connect_timeout = Some(read.min(Duration::from_secs(10)));
        config.read_timeout = Some(read);
        config.write_timeout = Some(read.min(API_SERVER_TIMEOUT));
        config.reset_reader_on_write = true;
        let unusable = |error: kube::Error| Error::Configuration(format!("access to Kubernetes cannot be used: {error}"));
        let builder = ClientBuilder::try_from(config).map_err(unusable)?;
        Ok(match progress {
            Some(progress) => builder.with_layer(&progress).build(),
            None => builder.build(),
        })
    }

    fn shared(&self, client: Client, me: String, events: Events) -> (Arc<Shared>, Registry) {
        let settings = Settings {
            server: self.base.clone(),
            timeout: self.args.timeout,
            retry_min: self.args.retry_min,
            retry_max: self.args.retry_max,
            deadline: Some(self.args.deadline).filter(|deadline| !deadline.is_zero()),
        };
        let roster = Roster::new(&self.base);
        let gate = Gate::new(roster.clone(), &settings);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessFigures::new("cde_operator")));
        let metrics = Metrics::new(&mut registry, roster.clone(), gate.clone());
        let shared = Shared {
            client,
            cde: self.cde.clone(),
            tokens: self.tokens.clone(),
            settings,
            me,
            roster,
            gate,
            rate: Rate::new(self.args.rate),
            metrics,
            events,
            crds: Arc::default(),
            workers: Semaphore::new(usize::from(self.args.concurrency)),
            stop: Stop::default(),
        };
        (Arc::new(shared), registry)
    }

    /// What runs beside the controllers.
    fn background(&self, shared: &Arc<Shared>, client: &Client, tasks: &mut JoinSet<()>) {
        let crds: Arc<CrdState> = shared.crds.clone();
        let api_server = client.clone();
        tasks.spawn(async move { watch_crds(api_server, &crds).await });
        let gate = shared.gate.clone();
        tasks.spawn(async move { gate.keep().await });
        let tokens = self.tokens.clone();
        tasks.spawn(async move { tokens.watch(TOKEN_INTERVAL).await });
        let (gate, mut generations) = (shared.gate.clone(), self.tokens.generations());
        tasks.spawn(async move {
            while generations.changed().await.is_ok() {
                gate.token_changed();
            }
        });
    }

    fn controllers(
        &self,
        shared: &Arc<Shared>,
        client: &Client,
        scopes: Vec<Scope>,
        listed: &watch::Sender<usize>,
    ) -> JoinSet<()> {
        let mut controllers = JoinSet::new();
        let watches = 2 * scopes.len();
        for scope in scopes {
            let other = Scope { number: scope.number + 1, ..scope.clone() };
            let concurrency = self.args.concurrency;
            let (one, two) = (shared.clone(), shared.clone());
            let (client_one, client_two) = (client.clone(), client.clone());
            controllers.spawn(run_controller::<ConnectorRestore>(
                one, client_one, scope, listed.clone(), watches, concurrency,
            ));
            controllers.spawn(run_controller::<MigrationRollback>(
                two, client_two, other, listed.clone(), watches, concurrency,
            ));
        }
        controllers
    }

    fn scopes(&self) -> Vec<Scope> {
        let selector = self.args.selector.clone();
        let namespaces: Vec<Option<String>> = match self.args.namespaces.as_slice() {
            [] => vec![None],
            some => some.iter().map(|namespace| Some(namespace.trim().to_owned())).collect(),
        };
        let scope = |(index, namespace)| Scope { namespace, selector: selector.clone(), number: 2 * index };
        namespaces.into_iter().enumerate().map(scope).collect()
    }

    async fn lease(&self, me: &str) -> Result<Option<Lease>, Error> {
        if !self.args.leader_election {
            return Ok(None);
        }
        let namespace = self.args.pod_namespace.clone().unwrap_or_else(|| self.kube.default_namespace.clone());
        let (selector, namespaces) = (self.args.selector.as_deref().unwrap_or_default(), &self.args.namespaces);
        // Operators that share the work by selector, namespaces or server do not compete.
        let share = format!("{selector}\n{}\n{}", namespaces.join(","), self.base);
        let share = Uuid::new_v5(&Uuid::NAMESPACE_OID, share.as_bytes()).simple().to_string();
        let name = format!("cde-operator-{}", &share[..12]);
        let client = self.client(REQUEST_TIMEOUT, None)?;
        loop {
            match Lease::new(client.clone(), &namespace, &name, me).await {
                Ok(lease) => {
                    tracing::info!(namespace, lease = name, "waiting for the Lease");
                    return Ok(Some(lease));
                }
                Err(error) => {
                    tracing::warn!(namespace, lease = name, %error, "the Lease cannot be used; trying again");
                    tokio::time::sleep(REQUEST_TIMEOUT).await;
                }
            }
        }
    }

    /// The pod's name, or the host's, and a suffix drawn at each start: a restarted process is another holder.
    fn holder(&self) -> String {
        let host = || gethostname::gethostname().to_string_lossy().into_owned();
        let name = self.args.pod_name.clone().unwrap_or_else(host);
        let suffix = Uuid::new_v4().simple().to_string();
        format!("{}-{}", crate::api::clean(&name, 200), &suffix[..8])
    }

    fn admin(
        &self,
        shared: &Arc<Shared>,
        registry: Registry,
        listed: watch::Receiver<usize>,
        watches: usize,
        progress: Progress,
    ) -> Admin {
        let (gate, crds) = (shared.gate.clone(), shared.crds.clone());
        let leader_election = self.args.leader_election;
        let watching = listed.clone();
        Admin {
            live: Box::new(move || {
                let silence = progress.longest_silence();
                if *watching.borrow() > 0 && silence > STUCK {
                    return Err(format!("a watch has made no progress for {} s", silence.as_secs()));
                }
                Ok(())
            }),
            ready: Box::new(move || {
                if !crds.is_good() {
                    return Err("the custom resource definitions are missing or too old: apply crds/".to_owned());
                }
                if gate.token_refused() {
                    return Err("the CDE API refuses the token".to_owned());
                }
                // A replica that waits for the Lease is ready to take over.
                if *listed.borrow() < watches && !leader_election {
                    return Err("the first list is not complete".to_owned());
                }
                Ok(())
            }),
            registry,
        }
    }
}

/// SIGTERM or SIGINT.
struct Terminate {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
}

impl Terminate {
    fn new() -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(|error| Error::Failed(format!("signals cannot be heard: {error}")));
        Ok(Self { term: listen(SignalKind::terminate())?, int: listen(SignalKind::interrupt())? })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

/// Refuses a Kubernetes that is too old; waits for one that does not answer.
async fn check_kubernetes(client: &Client) -> Result<(), Error> {
    loop {
        match client.apiserver_version().await {
            Ok(version) => {
                let number = |text: &str| text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().ok();
                let (Some(major), Some(minor)) = (number(&version.major), number(&version.minor)) else {
                    tracing::warn!(version = version.git_version, "the version of Kubernetes cannot be read");
                    return Ok(());
                };
                if (major, minor) < OLDEST_KUBERNETES {
                    let (oldest_major, oldest_minor) = OLDEST_KUBERNETES;
                    return Err(Error::Configuration(format!(
                        "Kubernetes {major}.{minor} is too old: {oldest_major}.{oldest_minor} or later is needed"
                    )));
                }
                return Ok(());
            }
            Err(error) => {
                tracing::warn!(%error, "the API server does not answer; trying again");
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        }
    }
}
