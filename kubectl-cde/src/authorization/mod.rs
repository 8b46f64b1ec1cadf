//! Asks a person for an authorization code (RFC 6749, section 4.1) through a browser, as RFC 8252 advises native apps.
//!
//! - [`request`]: the URL that the browser opens, with PKCE (RFC 7636) and `state`.
//! - [`redirect`]: what the browser brings back. Only a redirect with our `state` counts, and only the first one.
//! - [`listener`]: the loopback server that the browser is sent to. [`pasted`]: the same by hand.
//! - [`browser`]: opens the browser.

mod browser;
mod listener;
mod pasted;
mod redirect;
mod request;

use std::time::Duration;

use cde_operator::oauth::EndpointUrl;
use secrecy::SecretString;

use crate::command::note;
use crate::error::Error;
use listener::Listener;
use redirect::Expected;
pub(crate) use request::Pkce;

/// How to ask for a code.
#[derive(Debug)]
pub(crate) struct Options<'a> {
    /// The authorization endpoint.
    pub(crate) url: &'a EndpointUrl,
    /// The client ID.
    pub(crate) client_id: &'a str,
    /// The scopes, separated by spaces; `None` for the default of the server.
    pub(crate) scopes: Option<&'a str>,
    /// The issuer identifier; `None` for any with the origin of the authorization endpoint.
    pub(crate) issuer: Option<&'a str>,
    /// The port of 127.0.0.1; 0 for any free one.
    pub(crate) port: u16,
    /// Whether to open a browser. Otherwise the redirect may also be pasted.
    pub(crate) opens_browser: bool,
    /// How long to wait for the person.
    pub(crate) limit: Duration,
}

/// An authorization code and what it is exchanged with.
pub(crate) struct Authorized {
    /// The code.
    pub(crate) code: SecretString,
    /// The secret of this login.
    pub(crate) pkce: Pkce,
    /// Where the browser was sent back to.
    pub(crate) redirect_uri: String,
    /// Keeps answering the browser until it is dropped.
    pub(crate) listener: Listener,
}

/// Sends a person to the authorization server, and waits for the code.
pub(crate) async fn authorize(options: &Options<'_>) -> Result<Authorized, Error> {
    let (pkce, state) = (Pkce::new()?, request::random()?);
    let expected = Expected::new(state.clone(), options.url, options.issuer);
    let mut listener = Listener::start(options.port, expected.clone()).await?;
    let redirect_uri = listener.redirect_uri().to_owned();
    let url = request::url(options, &redirect_uri, &state, &pkce);
    if options.opens_browser {
        note(format_args!("Log in with the browser. If none opens, open this URL:\n\n  {url}\n"));
        browser::open(&url);
    } else {
        note(format_args!(
            "Open this URL in a browser:\n\n  {url}\n\nAfter the login, the browser shows an address that begins with \
             {redirect_uri}.\nIf the page cannot be displayed, paste the whole address here:"
        ));
    }
    let code = tokio::select! {
        answer = listener.answer() => answer?,
        answer = pasted::answer(&expected), if !options.opens_browser => answer?,
        () = tokio::time::sleep(options.limit) => {
            let limit = humantime::format_duration(options.limit);
            return Err(Error::Login(format!("nobody logged in within {limit}: run this again")));
        }
    };
    Ok(Authorized { code, pkce, redirect_uri, listener })
}
