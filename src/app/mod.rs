//! Wiring: configuration, clients, lease, controllers, admin server, and an end in order.

mod kubernetes;
mod probes;
mod signals;
mod wiring;

use std::sync::Arc;
use std::time::Duration;

use kube::Config;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cde::{BaseUrl, Client as CdeClient, ClientConfig, TokenFile};
use crate::config::RunArgs;
use crate::controller::{API_SERVER_TIMEOUT, DRAIN, Events, Shared, WATCH_TIMEOUT};
use crate::runtime::admin::serve;
use crate::runtime::lease::Lease;
use crate::runtime::progress::Progress;
use crate::runtime::telemetry;

use kubernetes::check_kubernetes;
use signals::Terminate;

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
            Error::Configuration(format!(
                "no access to Kubernetes is configured (KUBECONFIG, in-cluster): {error}"
            ))
        })?;
        let listener = TcpListener::bind(args.listen).await.map_err(|error| {
            Error::Configuration(format!("--listen {} cannot be used: {error}", args.listen))
        })?;
        telemetry::start(args.log_format);
        Operator { args, base: base.as_str().to_owned(), tokens: Arc::new(tokens), cde, kube }
            .run(listener)
            .await
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
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            holder = me,
            server = self.base,
            listen = address,
            "starting"
        );

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
        tokio::select! {
            () = lost(lease.as_ref()) => return Err(Error::Failed("the Lease is lost: another replica takes over".to_owned())),
            ended = controllers.join_next() => {
                return Err(Error::Failed(format!("a controller ended by itself: {ended:?}")));
            }
            () = terminate.received() => {}
        }
        tracing::info!("stopping: what is under way is finished and recorded");
        tokio::select! {
            () = self.end(&shared) => {}
            () = lost(lease.as_ref()) => tracing::warn!("the Lease was lost while the last calls were recorded"),
        }
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
}

/// Ends when the Lease is lost; never, where there is none to lose.
async fn lost(lease: Option<&Lease>) {
    match lease {
        Some(lease) => lease.lost().await,
        None => std::future::pending().await,
    }
}
