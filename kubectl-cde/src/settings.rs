//! Who the authorization server is: flags and environment variables first, then the operator's Deployment.

use std::collections::BTreeMap;

use cde_operator::oauth::EndpointUrl;

use crate::cluster::Cluster;
use crate::deployment::Operator;
use crate::error::Error;

/// A setting that the operator has, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// The name of the Secret.
    Secret,
    /// The client ID.
    ClientId,
    /// The authorization endpoint.
    AuthorizationUrl,
    /// The token endpoint.
    TokenUrl,
    /// The revocation endpoint.
    RevocationUrl,
    /// The scopes.
    Scopes,
}

impl Setting {
    /// Returns the flag of the plugin.
    pub(crate) const fn flag(self) -> &'static str {
        match self {
            Self::Secret => "--secret",
            Self::ClientId => "--client-id",
            Self::AuthorizationUrl => "--authorization-url",
            Self::TokenUrl => "--token-url",
            Self::RevocationUrl => "--revocation-url",
            Self::Scopes => "--scopes",
        }
    }

    /// Returns the environment variable, here and in the operator's Deployment.
    pub(crate) const fn variable(self) -> &'static str {
        match self {
            Self::Secret => "CDE_OAUTH_SECRET",
            Self::ClientId => "CDE_OAUTH_CLIENT_ID",
            Self::AuthorizationUrl => "CDE_OAUTH_AUTHORIZATION_URL",
            Self::TokenUrl => "CDE_OAUTH_TOKEN_URL",
            Self::RevocationUrl => "CDE_OAUTH_REVOCATION_URL",
            Self::Scopes => "CDE_OAUTH_SCOPES",
        }
    }
}

/// The variable of the operator that says that its client has a secret.
const CLIENT_SECRET_FILE: &str = "CDE_OAUTH_CLIENT_SECRET_FILE";

/// The settings, as far as they are known.
#[derive(Debug)]
pub(crate) struct Settings {
    values: BTreeMap<&'static str, String>,
    /// Why the operator's Deployment, or a part of it, was not read.
    unread: Option<Error>,
    operator_has_client_secret: bool,
}

impl Settings {
    /// Combines the values of flags and environment variables with those of the operator's Deployment, which is read only
    /// if a value is missing. Not being allowed to read the Deployment is not an error.
    pub(crate) async fn read(
        given: &[(Setting, &Option<String>)],
        cluster: Option<&Cluster>,
        operator: Option<&str>,
    ) -> Result<Self, Error> {
        let mut values = BTreeMap::new();
        for (setting, value) in given {
            if let Some(value) = value.as_deref().map(str::trim).filter(|value| !value.is_empty()) {
                values.insert(setting.variable(), value.to_owned());
            }
        }
        let mut settings = Self { values, unread: None, operator_has_client_secret: false };
        let Some(cluster) = cluster.filter(|_| settings.values.len() < given.len()) else {
            return Ok(settings);
        };
        match Operator::read(cluster, operator).await {
            Ok(found) => settings.add(given, found),
            // A person who names a Deployment wants its values.
            Err(error) if operator.is_some() => return Err(error),
            Err(error) => settings.unread = Some(error),
        }
        Ok(settings)
    }

    fn add(&mut self, given: &[(Setting, &Option<String>)], operator: Operator) {
        let has_value =
            |name: &str| operator.environment.get(name).is_some_and(|value| !value.trim().is_empty());
        self.operator_has_client_secret = has_value(CLIENT_SECRET_FILE);
        for (setting, _) in given {
            let name = setting.variable();
            if let (true, Some(value)) = (has_value(name), operator.environment.get(name)) {
                self.values.entry(name).or_insert_with(|| value.trim().to_owned());
            }
        }
        self.unread = operator.unread;
    }

    /// Returns a setting.
    pub(crate) fn optional(&self, setting: Setting) -> Option<&str> {
        self.values.get(setting.variable()).map(String::as_str)
    }

    /// Returns a setting, or an error that says how to set it.
    pub(crate) fn required(&self, setting: Setting) -> Result<&str, Error> {
        self.optional(setting).ok_or_else(|| {
            let (flag, variable) = (setting.flag(), setting.variable());
            let why = match &self.unread {
                Some(error) => format!("; the operator's Deployment does not help: {error}"),
                None => String::new(),
            };
            Error::Usage(format!("set {flag} or the environment variable {variable}{why}"))
        })
    }

    /// Returns the URL of an endpoint.
    pub(crate) fn optional_url(&self, setting: Setting) -> Result<Option<EndpointUrl>, Error> {
        let parse = |text| {
            EndpointUrl::parse(setting.flag(), text).map_err(|error| configuration(&error.to_string()))
        };
        self.optional(setting).map(parse).transpose()
    }

    /// Returns the URL of an endpoint, or an error that says how to set it.
    pub(crate) fn required_url(&self, setting: Setting) -> Result<EndpointUrl, Error> {
        self.required(setting)?;
        self.optional_url(setting)?.ok_or_else(|| Error::Usage(format!("set {}", setting.flag())))
    }

    /// Fails if the operator's client has a secret and this one has none.
    pub(crate) fn check_client_secret(&self, is_given: bool) -> Result<(), Error> {
        if self.operator_has_client_secret && !is_given {
            return Err(Error::Usage(
                "the operator's client has a secret: set --client-secret-file to a file with the same secret"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

/// Returns an error of the operator's library with the names of this program's flags, which lack the prefix `oauth-`.
pub(crate) fn configuration(text: &str) -> Error {
    Error::Usage(text.replace("--oauth-", "--"))
}
