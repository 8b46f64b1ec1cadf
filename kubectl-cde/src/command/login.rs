//! `kubectl cde login`: asks a person to log in, and stores the login.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use cde_operator::oauth::{Answer, EndpointUrl, Failure, Grant, Login, TokenEndpoint};
use cde_operator::runtime::clock;

use super::{endpoint, note, print};
use crate::authorization::{Authorized, Options, authorize};
use crate::cli::{KubernetesArgs, LoginArgs};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::login_secret::{LoginSecret, Stored, Unwritten, Written, replacing_manifest};
use crate::prompt::confirm;
use crate::settings::{Setting, Settings, configuration};

/// What a login is about, once everything that can be wrong without a person has been checked.
struct Plan {
    namespace: String,
    secret: String,
    client_id: String,
    scopes: Option<String>,
    authorization_url: EndpointUrl,
    token_url: EndpointUrl,
    /// Where a login is revoked that cannot be stored.
    revocation_url: Option<EndpointUrl>,
}

pub(super) async fn run(kubernetes: &KubernetesArgs, args: &LoginArgs) -> Result<ExitCode, Error> {
    if args.print && std::io::stdout().is_terminal() {
        return Err(Error::Usage(
            "--print shows tokens, so it does not write to a terminal: redirect it to a file or a program"
                .to_owned(),
        ));
    }
    let cluster = match Cluster::new(kubernetes).await {
        Ok(cluster) => Some(cluster),
        // The manifest needs no cluster if flags say everything.
        Err(_) if args.print && kubernetes.namespace.is_some() => None,
        Err(error) => return Err(error),
    };
    let plan = plan(kubernetes, args, cluster.as_ref()).await?;
    let endpoint = endpoint(plan.token_url.clone(), &plan.client_id, &args.client)?;
    introduce(cluster.as_ref(), &plan);
    let target = match &cluster {
        Some(cluster) if !args.print => Some(LoginSecret::new(cluster, &plan.secret)),
        _ => None,
    };
    let seen = match &target {
        Some(secret) => prepare(secret, args.yes).await?,
        None => None,
    };
    let Authorized { code, pkce, redirect_uri, listener } = authorize(&Options {
        url: &plan.authorization_url,
        client_id: &plan.client_id,
        scopes: plan.scopes.as_deref(),
        issuer: args.issuer.as_deref(),
        port: args.port,
        opens_browser: !args.no_browser,
        limit: args.login_timeout,
    })
    .await?;
    let answer = endpoint.exchange(&code, pkce.verifier(), &redirect_uri, clock::now()).await;
    let login = Login::granted(grant(answer)?, None, clock::now());
    if login.refresh_token.is_none() {
        note(
            "warning: the authorization server sent no refresh token, so the operator cannot renew this login: request \
             one with --scopes, for example with the scope offline_access",
        );
    }
    let stored = store(target.as_ref(), seen, &plan, &login).await;
    listener.finish().await;
    match stored {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(unwritten) => {
            give_up(&endpoint, &plan, &login, unwritten.may_be_stored).await;
            Err(unwritten.error)
        }
    }
}

async fn plan(
    kubernetes: &KubernetesArgs,
    args: &LoginArgs,
    cluster: Option<&Cluster>,
) -> Result<Plan, Error> {
    let given = [
        (Setting::Secret, &args.secret.secret),
        (Setting::ClientId, &args.client.client_id),
        (Setting::AuthorizationUrl, &args.authorization_url),
        (Setting::TokenUrl, &args.token_url),
        (Setting::RevocationUrl, &args.client.revocation_url),
        (Setting::Scopes, &args.scopes),
    ];
    let settings = Settings::read(&given, cluster, args.secret.operator.as_deref()).await?;
    let namespace = match cluster {
        Some(cluster) => Some(cluster.namespace.clone()),
        None => kubernetes.namespace.clone(),
    };
    let plan = Plan {
        namespace: namespace.unwrap_or_default(),
        secret: settings.required(Setting::Secret)?.to_owned(),
        client_id: settings.required(Setting::ClientId)?.to_owned(),
        scopes: settings.optional(Setting::Scopes).map(str::to_owned),
        authorization_url: settings.required_url(Setting::AuthorizationUrl)?,
        token_url: settings.required_url(Setting::TokenUrl)?,
        revocation_url: settings.optional_url(Setting::RevocationUrl)?,
    };
    settings.check_client_secret(args.client.client_secret_file.is_some())?;
    Ok(plan)
}

/// Shows what the login is for. The person compares the authorization server with what the browser shows.
fn introduce(cluster: Option<&Cluster>, plan: &Plan) {
    if let Some(cluster) = cluster {
        note(format_args!("Context:               {}", cluster.context));
    }
    note(format_args!("Namespace:             {}", plan.namespace));
    note(format_args!("Secret:                {}", plan.secret));
    let [server, tokens] =
        [&plan.authorization_url, &plan.token_url].map(|url| url.url().origin().ascii_serialization());
    note(format_args!("Authorization server:  {server}"));
    if tokens != server {
        note(format_args!("Token endpoint:        {tokens}"));
    }
}

/// Returns what is stored now, after the person agreed to replace it and the API server agreed to the write.
async fn prepare(secret: &LoginSecret<'_>, yes: bool) -> Result<Option<Stored>, Error> {
    let seen = secret.read().await?;
    let is_live = seen.as_ref().is_some_and(|stored| is_live(&stored.login));
    secret.check_write(seen.as_ref()).await?;
    if is_live {
        confirm(&format!("The Secret {secret} holds a login. Replace it?"), yes)?;
    }
    Ok(seen)
}

fn is_live(login: &Login) -> bool {
    let access_token = login.access_token.is_some() && login.expires_at.is_none_or(|end| end > clock::now());
    access_token || login.refresh_token.is_some()
}

fn grant(answer: Answer) -> Result<Grant, Error> {
    match answer {
        Answer::Granted(grant) => Ok(grant),
        Answer::Failed(Failure::Configuration(why)) => Err(configuration(&why)),
        Answer::Failed(failure) => Err(Error::Login(format!(
            "the login was not completed, and nothing was changed: {}; run this again",
            failure.why()
        ))),
    }
}

async fn store(
    target: Option<&LoginSecret<'_>>,
    seen: Option<Stored>,
    plan: &Plan,
    login: &Login,
) -> Result<(), Unwritten> {
    let Some(secret) = target else {
        let manifest = replacing_manifest(&plan.namespace, &plan.secret, login);
        let yaml = serde_saphyr::to_string(&manifest);
        print(yaml.map_err(|_| Error::Usage("cannot write the manifest".to_owned()))?)?;
        return Ok(());
    };
    let had_login = seen.as_ref().is_some_and(|stored| is_live(&stored.login));
    if secret.write(seen, login).await? == Written::Changed && had_login {
        note("The old login was refreshed or replaced meanwhile. Your login has replaced it.");
    }
    let until = match login.expires_at {
        Some(end) => format!("the access token is valid until {end:.0}"),
        None => "the authorization server does not say how long the access token is valid".to_owned(),
    };
    // The login is stored, whether or not somebody reads this.
    print(format_args!("Logged in: the Secret {secret} holds the login, and {until}.\n"))
        .map_err(|error| Unwritten { error, may_be_stored: true })
}

/// Revokes a login that is stored nowhere, and says what became of it.
async fn give_up(endpoint: &TokenEndpoint, plan: &Plan, login: &Login, may_be_stored: bool) {
    if may_be_stored {
        return note("The new login may be stored: see `kubectl cde whoami`, or run this again.");
    }
    // A login without a refresh token has only its access token to revoke.
    let token = login.refresh_token.as_ref().or(login.access_token.as_ref());
    let (Some(url), Some(token)) = (&plan.revocation_url, token) else {
        return note(
            "The new login could not be stored. It was not revoked, because no revocation URL is known: it ends by itself, \
             or revoke it at the authorization server.",
        );
    };
    match endpoint.revoke(url, token).await {
        Ok(()) => note("The new login could not be stored, so it was revoked."),
        Err(why) => note(format_args!(
            "The new login could not be stored, and it was not revoked ({why}): it ends by itself, or revoke it at the \
             authorization server."
        )),
    }
}
