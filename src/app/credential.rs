//! Where the token for the CDE API comes from, and the tasks that keep it fresh.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::task::JoinSet;

use crate::cde::TokenFile;
use crate::config::RunArgs;
use crate::controller::Context;
use crate::credential::{
    Credential, LoginMetrics, RefreshMetrics, Refresher, Session, Settings as LoginSettings,
};
use crate::http_client::Options;
use crate::oauth::{ClientCredentials, EndpointUrl, TokenEndpoint};
use crate::runtime::watch_stream::WATCH_TIMEOUT;

use super::kubernetes::home;
use super::{Error, Operator, USER_AGENT, configuration};

/// How often the token file is read.
const TOKEN_INTERVAL: Duration = Duration::from_secs(2);

/// The credential, as far as it can be set up before anything is contacted.
pub(super) struct Source {
    pub(super) credential: Arc<Credential>,
    /// The login mode, without the namespace.
    login: Option<(Arc<Session>, LoginSettings)>,
}

impl Source {
    pub(super) fn configured(args: &RunArgs) -> Result<Self, Error> {
        if let Some(path) = &args.token_file {
            let file = TokenFile::open(path).map_err(configuration)?;
            return Ok(Self { credential: Arc::new(Credential::File(file)), login: None });
        }
        let session = Arc::<Session>::default();
        let credential = Arc::new(Credential::Login(session.clone()));
        Ok(Self { credential, login: Some((session, login_settings(args)?)) })
    }

    /// Returns the name of the Secret in the login mode.
    pub(super) fn secret(&self) -> Option<&str> {
        self.login.as_ref().map(|(_, settings)| settings.secret.as_str())
    }
}

fn login_settings(args: &RunArgs) -> Result<LoginSettings, Error> {
    let oauth = &args.oauth;
    let url = |flag, value: &Option<String>| {
        value.as_deref().map(|text| EndpointUrl::parse(flag, text)).transpose().map_err(configuration)
    };
    let missing = |flag| Error::Configuration(format!("{flag} is missing: --oauth-secret needs it"));
    let token_url =
        url("--oauth-token-url", &oauth.token_url)?.ok_or_else(|| missing("--oauth-token-url"))?;
    // The operator does not use it, but a person who logs in does.
    url("--oauth-authorization-url", &oauth.authorization_url)?;
    let id = oauth.client_id.clone().ok_or_else(|| missing("--oauth-client-id"))?;
    let client = ClientCredentials { id, secret_file: oauth.client_secret_file.clone() };
    let options =
        Options { timeout: args.timeout, ca_file: args.ca_file.clone(), user_agent: USER_AGENT.to_owned() };
    Ok(LoginSettings {
        namespace: String::new(),
        secret: oauth.secret.clone().ok_or_else(|| missing("--oauth-secret"))?,
        endpoint: TokenEndpoint::new(token_url, client, &options).map_err(configuration)?,
        revocation_url: url("--oauth-revocation-url", &oauth.revocation_url)?,
        scopes: oauth.scopes.clone(),
        assume_lifetime: oauth.assume_lifetime,
        timeout: args.timeout,
    })
}

impl Operator {
    /// Returns the task that keeps the token fresh, and registers its metrics.
    pub(super) fn keep_credential(
        &self,
        context: &Context,
        registry: &mut Registry,
    ) -> Result<impl Future<Output = ()> + Send + use<>, Error> {
        let refresher = match &self.source.login {
            None => None,
            Some((session, settings)) => {
                let namespace = home(&self.args, &self.kube);
                let metrics = RefreshMetrics::new(registry);
                registry.register_collector(Box::new(LoginMetrics(session.clone())));
                Some(Refresher::new(
                    session.clone(),
                    LoginSettings { namespace, ..settings.clone() },
                    (context.client.clone(), self.client(WATCH_TIMEOUT, None)?),
                    (context.events.clone(), metrics),
                    (context.recorders.clone(), context.stop.clone()),
                    (&self.me, self.leads.subscribe()),
                ))
            }
        };
        let credential = self.source.credential.clone();
        Ok(async move {
            match (refresher, credential.as_ref()) {
                (Some(refresher), _) => refresher.run().await,
                (None, Credential::File(file)) => file.watch(TOKEN_INTERVAL).await,
                (None, Credential::Login(_)) => {}
            }
        })
    }

    /// Starts the task that tells the circuit breaker about each change of the token.
    pub(super) fn follow_credential(context: &Context, tasks: &mut JoinSet<()>) {
        let (breaker, mut access) = (context.breaker.clone(), context.credential.access());
        tasks.spawn(async move {
            loop {
                let login_required = access.borrow_and_update().login_required.is_some();
                if login_required {
                    breaker.login_required();
                } else {
                    breaker.token_changed();
                }
                if access.changed().await.is_err() {
                    return;
                }
            }
        });
    }
}
