//! Wiring: configuration, clients, Lease, controllers, admin server and shutdown.

mod check;
mod crd_check;
mod credential;
mod kubernetes;
mod listen;
mod metrics;
mod probes;
mod signals;
mod wiring;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::future::OptionFuture;
use kube::Config;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cde::{BaseUrl, Client as CdeClient, ClientConfig};
use crate::config::RunArgs;
use crate::controller::{API_SERVER_TIMEOUT, Context};
use crate::runtime::admin::serve;
use crate::runtime::events::{DRAIN, Events};
use crate::runtime::lease::Lease;
use crate::runtime::telemetry::{self, Collector};
use crate::runtime::watch_health::WatchHealth;
use crate::runtime::watch_stream::WATCH_TIMEOUT;

pub use check::{Finding, Verdict, check, print_json, print_text};

use credential::Source;
use kubernetes::{check_kubernetes, kubernetes_access};
use listen::bind;
use signals::Terminate;
use wiring::{holder, resource};

/// Time for records at shutdown, after the timeout of a call.
const END_MARGIN: Duration = Duration::from_secs(6);
const USER_AGENT: &str = concat!("cde-operator/", env!("CDE_OPERATOR_VERSION"));
const RELEASE: Duration = Duration::from_secs(2);
/// Time to send the last spans, while the last Events are published.
const FLUSH: Duration = Duration::from_secs(1);

/// Why the operator exits without a signal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Invalid configuration, or a Kubernetes that is too old: exit code 2.
    #[error("{0}")]
    Configuration(String),
    /// Exit code 1.
    #[error("{0}")]
    Failed(String),
}

/// Runs the operator until a signal stops it.
///
/// # Errors
/// See the variants of [`Error`].
pub fn run(args: RunArgs) -> Result<(), Error> {
    let Cde { base, source, client: cde } = Cde::configured(&args)?;
    let collector = collector(&args)?;
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let kube = kubernetes_access().await?;
        let me = holder(&args);
        let traces = collector.map(|collector| collector.provider(resource(&args, &me))).transpose();
        let traces = traces.map_err(Error::Configuration)?;
        telemetry::start(args.log_format, args.log_level, traces.as_ref()).map_err(Error::Configuration)?;
        let listener = bind(args.listen).await?;
        let (stands_by, leads) = (Arc::default(), watch::Sender::default());
        let operator = Operator { args, base, source, cde, kube, me, traces, stands_by, leads };
        operator.run(listener).await
    });
    // A call that is still in progress is verified at the next start.
    runtime.shutdown_background();
    result
}

/// The configured CDE API, before anything is contacted.
struct Cde {
    base: String,
    source: Source,
    client: CdeClient,
}

impl Cde {
    fn configured(args: &RunArgs) -> Result<Self, Error> {
        args.check().map_err(Error::Configuration)?;
        // It fails only if another provider is already installed, which works as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = BaseUrl::parse(&args.url, args.allow_http).map_err(configuration)?;
        let source = Source::configured(args)?;
        let client = CdeClient::new(&ClientConfig {
            base: base.clone(),
            timeout: args.timeout,
            ca_file: args.ca_file.clone(),
            user_agent: USER_AGENT.to_owned(),
        })
        .map_err(configuration)?;
        Ok(Self { base: base.as_str().to_owned(), source, client })
    }
}

/// Uses one thread: the operator mostly waits, and threads that wake each other cost a fifth of the CPU time.
fn runtime() -> Result<Runtime, Error> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Failed(format!("the async runtime cannot start: {error}")))
}

fn collector(args: &RunArgs) -> Result<Option<Collector>, Error> {
    Collector::configured(args.otlp_endpoint.as_deref(), |name| std::env::var(name).ok())
        .map_err(Error::Configuration)
}

fn configuration(error: impl std::fmt::Display) -> Error {
    Error::Configuration(error.to_string())
}

struct Operator {
    args: RunArgs,
    base: String,
    source: Source,
    cde: CdeClient,
    kube: Config,
    /// The name of this process in claims and in the Lease.
    me: String,
    /// Exports spans, if traces are on.
    traces: Option<SdkTracerProvider>,
    /// Whether another replica leads and this one would take over.
    stands_by: Arc<AtomicBool>,
    /// Whether the controllers run in this process.
    leads: watch::Sender<bool>,
}

struct Work {
    lease: Option<Lease>,
    controllers: JoinSet<()>,
}

impl Operator {
    async fn run(mut self, listener: TcpListener) -> Result<(), Error> {
        let mut terminate = Terminate::new()?;
        let watch_health = WatchHealth::default();
        let client = self.client(API_SERVER_TIMEOUT, None)?;
        let (events, publishing) = Events::new(client.clone(), &self.me);
        let publishing = tokio::spawn(publishing);
        let (context, mut registry) = self.context(client, events);
        self.announce(&context, &listener);

        let mut background = JoinSet::new();
        background.spawn(self.keep_credential(&context, &mut registry)?);
        let admin = self.admin(&context, registry, watch_health.clone());
        background.spawn(async move {
            if let Err(error) = serve(listener, admin).await {
                tracing::error!(%error, "the admin server has ended");
            }
        });
        let mut work = tokio::select! {
            work = self.begin(&context, &watch_health, &mut background) => work?,
            () = terminate.received() => return Ok(()),
        };
        tokio::select! {
            () = lost(work.lease.as_mut()) => {
                return Err(Error::Failed("the Lease is lost: another replica takes over".to_owned()));
            }
            ended = work.controllers.join_next() => {
                return Err(Error::Failed(format!("a controller ended by itself: {ended:?}")));
            }
            () = terminate.received() => {}
        }
        self.end(&context, work.lease.as_mut()).await;
        drop((context, work, background));
        let flushed = OptionFuture::from(self.traces.take().map(|traces| telemetry::flush(traces, FLUSH)));
        let _ = tokio::join!(tokio::time::timeout(DRAIN, publishing), flushed);
        tracing::info!("stopped");
        Ok(())
    }

    fn announce(&self, context: &Context, listener: &TcpListener) {
        let listen = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
        let (version, holder) = (crate::VERSION, &context.holder);
        tracing::info!(version, holder, server = self.base, listen, "starting");
    }

    /// Starts the controllers when this process may work.
    async fn begin(
        &self,
        context: &Arc<Context>,
        watch_health: &WatchHealth,
        background: &mut JoinSet<()>,
    ) -> Result<Work, Error> {
        check_kubernetes(&context.client).await?;
        Self::background(context, background);
        context.crds.good().await;
        let mut lease = self.lease(&context.holder)?;
        if let Some(lease) = &mut lease {
            lease.acquire(&self.stands_by).await;
            tracing::info!("this replica leads");
        }
        let watch_client = self.client(WATCH_TIMEOUT, Some(watch_health))?;
        watch_health.note();
        self.leads.send_replace(true);
        Ok(Work { lease, controllers: self.controllers(context, &watch_client) })
    }

    /// Begins nothing new, waits for calls and records in progress, and releases the Lease.
    async fn end(&self, context: &Context, mut lease: Option<&mut Lease>) {
        tracing::info!("stopping; finishing and recording calls in progress");
        context.stop.cancel();
        context.recorders.close();
        let all = async {
            context.workers.all_idle().await;
            context.recorders.wait().await;
        };
        let finished = tokio::time::timeout(self.args.timeout + END_MARGIN, all);
        tokio::select! {
            finished = finished => if finished.is_err() {
                tracing::warn!("a call or its record took too long; the next start will verify it");
            },
            () = lost(lease.as_deref_mut()) => tracing::warn!("the Lease was lost before the last calls were recorded"),
        }
        if let Some(lease) = lease {
            // If the API server is down, the Lease expires.
            let _ = tokio::time::timeout(RELEASE, lease.release()).await;
        }
    }
}

/// Returns when the Lease is lost; never, if there is none.
async fn lost(lease: Option<&mut Lease>) {
    match lease {
        Some(lease) => lease.lost().await,
        None => std::future::pending().await,
    }
}
