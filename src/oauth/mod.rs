//! The part of OAuth 2.0 (RFC 6749) that keeps a login alive: the token endpoint and the Secret that holds the login.
//!
//! The operator refreshes the login, and `kubectl cde login` creates it. Both use this module, which knows nothing of the
//! CDE API. No `Debug` output and no error shows a token, code, verifier or client secret.
//!
//! - [`EndpointUrl`]: a URL that credentials may be sent to.
//! - [`TokenEndpoint`]: sends one request to the token endpoint, and never repeats it.
//! - [`Answer`]: what the response means. One table classifies all responses.
//! - [`Login`]: the content of the Secret. [`key`] lists its keys.

mod answer;
mod endpoint;
mod login;
mod url;

pub use answer::{Answer, Failure, Grant, classify};
pub use endpoint::{ClientCredentials, TokenEndpoint};
pub use login::{Claim, Login, MANAGED_BY, SECRET_TYPE, key};
pub use url::EndpointUrl;
