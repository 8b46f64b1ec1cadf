//! The preflight check of the login mode.

use kube::Client;

use crate::cde::Token;

use super::store::{SecretStore, Unstored};

/// Checks that the Secret holds a login and may be patched. Returns what was found, and its access token.
///
/// # Errors
/// A sentence that says what to do.
pub async fn check_secret(client: Client, namespace: &str, name: &str) -> Result<(String, Token), String> {
    let store = SecretStore::new(client.clone(), client, namespace, name);
    let full = store.full_name();
    let stored = match store.read().await {
        Ok(Some(stored)) => stored,
        Ok(None) | Err(Unstored::Gone | Unstored::Conflict) => {
            return Err(format!("there is no Secret {full}: run `kubectl cde login`"));
        }
        Err(Unstored::Refused(why) | Unstored::Unclear(why)) => {
            return Err(format!("the Secret {full} cannot be read: {why}"));
        }
    };
    let patched = store.dry_run(&stored).await;
    if let Err(Unstored::Refused(why) | Unstored::Unclear(why)) = patched {
        return Err(format!("the Secret {full} cannot be patched: {why}; apply the Role of the login mode"));
    }
    if stored.login.refresh_token.is_none() {
        return Err(format!("the Secret {full} holds no refresh token: run `kubectl cde login`"));
    }
    let token = stored.login.access_token.map_or_else(Token::absent, |text| Token::new(text, 1));
    let message = match stored.login.expires_at {
        Some(at) => format!("the Secret {full} holds a login and may be patched; its token expires at {at}"),
        None => format!("the Secret {full} holds a login and may be patched; its token has no known end"),
    };
    Ok((message, token))
}
