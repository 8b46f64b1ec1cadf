//! `kubectl cde logout`: revokes the login and empties the Secret, which stays.

use std::process::ExitCode;

use cde_operator::oauth::{EndpointUrl, Login, TokenEndpoint};

use super::{endpoint, note, print};
use crate::cli::{KubernetesArgs, LogoutArgs};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::login_secret::LoginSecret;
use crate::settings::{Setting, Settings};

/// A login that changes this often while it is revoked is refreshed all the time.
const MAX_CONFLICTS: usize = 20;

pub(super) async fn run(kubernetes: &KubernetesArgs, args: &LogoutArgs) -> Result<ExitCode, Error> {
    let cluster = Cluster::new(kubernetes).await?;
    let given = [
        (Setting::Secret, &args.secret.secret),
        (Setting::ClientId, &args.client.client_id),
        (Setting::RevocationUrl, &args.client.revocation_url),
    ];
    let settings = Settings::read(&given, Some(&cluster), args.secret.operator.as_deref()).await?;
    let secret = LoginSecret::new(&cluster, settings.required(Setting::Secret)?);
    let revoker = if args.skip_revocation { None } else { revoker(&settings, args)? };
    for _ in 0..MAX_CONFLICTS {
        let Some(stored) = secret.read().await? else {
            print(format_args!("There is no login: the Secret {secret} does not exist.\n"))?;
            return Ok(ExitCode::SUCCESS);
        };
        if stored.login.access_token.is_none() && stored.login.refresh_token.is_none() {
            print(format_args!("There is no login: the Secret {secret} is empty.\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let is_revoked = revoke(revoker.as_ref(), &stored.login).await?;
        // Whatever is stored meanwhile is a login, too, and must be revoked first.
        if secret.empty(&stored).await? {
            let what = if is_revoked { "The login is revoked, and the" } else { "The" };
            print(format_args!(
                "{what} Secret {secret} is empty. The operator makes no call until the next login.\n"
            ))?;
            if !is_revoked && !args.skip_revocation {
                note(
                    "The login was not revoked, because no revocation URL is known: set --revocation-url, or revoke it at \
                     the authorization server.",
                );
            }
            return Ok(ExitCode::SUCCESS);
        }
    }
    Err(Error::Kubernetes(format!(
        "the Secret {secret} changes all the time: see who writes it, and run this again"
    )))
}

/// Returns the client of the revocation endpoint; `None` if the endpoint is unknown.
fn revoker(settings: &Settings, args: &LogoutArgs) -> Result<Option<(TokenEndpoint, EndpointUrl)>, Error> {
    let Some(url) = settings.optional_url(Setting::RevocationUrl)? else { return Ok(None) };
    settings.check_client_secret(args.client.client_secret_file.is_some())?;
    let client = endpoint(url.clone(), settings.required(Setting::ClientId)?, &args.client)?;
    Ok(Some((client, url)))
}

/// Revokes the refresh token, and with it its access tokens. A login without one has only its access token to revoke.
async fn revoke(revoker: Option<&(TokenEndpoint, EndpointUrl)>, login: &Login) -> Result<bool, Error> {
    let token = login.refresh_token.as_ref().or(login.access_token.as_ref());
    let (Some((client, url)), Some(token)) = (revoker, token) else { return Ok(false) };
    let result = client.revoke(url, token).await;
    result.map(|()| true).map_err(|why| {
        Error::Login(format!(
            "the login was not revoked, and the Secret is unchanged ({why}): run this again, or with --skip-revocation"
        ))
    })
}
