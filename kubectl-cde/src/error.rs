//! Errors: one sentence that says what to do, and an exit code.

use cde_operator::text::{clean, describe};
use kube::core::Status;

/// Texts of the API server are cut to this many characters.
const MAX_MESSAGE: usize = 300;

/// Why a command failed, named by its exit code. The texts are safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// The login was not completed, or the authorization server refused.
    #[error("{0}")]
    Login(String),
    /// A person declined, or there was nothing that the command could do.
    #[error("{0}")]
    NotDone(String),
    /// Flags or configuration are wrong.
    #[error("{0}")]
    Usage(String),
    /// Kubernetes could not be reached or refused.
    #[error("{0}")]
    Kubernetes(String),
}

impl Error {
    /// Returns the exit code of the program.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Login(_) | Self::NotDone(_) => 1,
            Self::Usage(_) => 2,
            Self::Kubernetes(_) => 3,
        }
    }
}

/// A call to the API server, for its errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    /// The verb of the permission, for example `get`.
    pub(crate) verb: &'a str,
    /// The resource of the permission, for example `secrets`.
    pub(crate) resource: &'a str,
    /// The namespace.
    pub(crate) namespace: &'a str,
    /// The name of the object; empty for a list.
    pub(crate) name: &'a str,
}

impl Call<'_> {
    /// Returns the error of this call.
    pub(crate) fn error(&self, error: &kube::Error) -> Error {
        Error::Kubernetes(match error {
            kube::Error::Api(status) => self.refusal(status),
            other => format!("cannot reach the API server: {}", clean(&describe(other), MAX_MESSAGE)),
        })
    }

    fn refusal(&self, status: &Status) -> String {
        let Self { verb, resource, namespace, name } = self;
        let said = clean(&status.message, MAX_MESSAGE);
        let object = if name.is_empty() { String::new() } else { format!(" {name}") };
        match status.code {
            401 => "the API server does not accept your credentials: log in to the cluster again".to_owned(),
            403 if status.message.contains("cannot impersonate") => {
                format!("you may not impersonate this user: check --as, or ask for the permission ({said})")
            }
            403 => {
                // A server-side apply of an object that does not exist needs this permission, too.
                let verb = if status.message.contains("cannot create resource") { "create" } else { verb };
                format!(
                    "you may not {verb} {resource}{object} in the namespace {namespace}: ask for this permission ({said})"
                )
            }
            404 => format!("{resource}{object} does not exist in the namespace {namespace} ({said})"),
            code => format!("the API server rejects to {verb} {resource}{object} ({code}: {said})"),
        }
    }
}

/// Returns whether the API server answered with this status code.
pub(crate) fn has_code(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}
