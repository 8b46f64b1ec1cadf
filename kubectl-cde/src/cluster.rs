//! The cluster, as the kubeconfig of the person describes it.

use std::time::Duration;

use cde_operator::http_client::proxy;
use cde_operator::runtime::clock;
use cde_operator::text::describe;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::cli::KubernetesArgs;
use crate::error::Error;

/// Longer than the API server lets a watch last.
const WATCH_TIMEOUT: Duration = Duration::from_mins(6);

/// A cluster and a namespace in it.
pub(crate) struct Cluster {
    /// The client with the person's credentials.
    pub(crate) client: Client,
    /// The same, with a longer timeout for watches, in which nothing may come for minutes.
    pub(crate) watch_client: Client,
    /// The name of the context.
    pub(crate) context: String,
    /// The namespace of the operator.
    pub(crate) namespace: String,
}

impl Cluster {
    /// Reads the kubeconfig without contacting the API server.
    pub(crate) async fn new(args: &KubernetesArgs) -> Result<Self, Error> {
        let kubeconfig = match &args.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let unusable = |error: &dyn std::error::Error| {
            Error::Usage(format!(
                "cannot use the kubeconfig ({}); check --kubeconfig, KUBECONFIG and --context",
                describe(error)
            ))
        };
        let kubeconfig = kubeconfig.map_err(|error| unusable(&error))?;
        let context = args.context.clone().or_else(|| kubeconfig.current_context.clone()).unwrap_or_default();
        let options = KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
        let proxy = proxy::named_in(&kubeconfig, args.context.as_deref()).map(str::to_owned);
        let mut config =
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| unusable(&error))?;
        config.proxy_url = proxy::for_api_server(proxy.as_deref(), &config.cluster_url);
        if args.as_user.is_some() {
            config.auth_info.impersonate.clone_from(&args.as_user);
        }
        let limit = (!args.request_timeout.is_zero()).then_some(args.request_timeout);
        config.read_timeout = limit;
        config.write_timeout = limit;
        config.reset_reader_on_write = true;
        if let Some(limit) = limit {
            config.connect_timeout = Some(config.connect_timeout.map_or(limit, |own| own.min(limit)));
        }
        let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let mut watch_config = config.clone();
        watch_config.read_timeout = Some(WATCH_TIMEOUT.max(args.request_timeout));
        let [client, watch_client] = [config, watch_config].map(Client::try_from);
        let client = client.map_err(|error| unusable(&error))?;
        let watch_client = watch_client.map_err(|error| unusable(&error))?;
        Ok(Self { client, watch_client, context, namespace })
    }
    /// Returns the API server's clock, which may differ from the person's.
    pub(crate) async fn server_time(&self) -> Result<Timestamp, Error> {
        let unreachable = |error: &dyn std::error::Error| {
            Error::Kubernetes(format!("cannot reach the API server: {}", describe(error)))
        };
        let request = http::Request::get("/version").body(Body::empty());
        let request = request.map_err(|error| unreachable(&error))?;
        let response = self.client.send(request).await.map_err(|error| unreachable(&error))?;
        let date = response.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
        // A proxy may have removed the header.
        let time = date.and_then(|date| rfc2822::parse(date).ok()).map(|time| time.timestamp());
        Ok(time.unwrap_or_else(clock::now))
    }
}
