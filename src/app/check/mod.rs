//! `cde-operator check`: read-only preflight checks of everything that `run` needs.
//!
//! The API server reports permissions, and the CDE API gets one read. A check that depends on a failed one is skipped.

mod cde;
mod finding;
mod permissions;

use kube::{Client, Config};

use crate::config::{CheckArgs, RunArgs};
use crate::controller::API_SERVER_TIMEOUT;
use crate::credential::check_secret;
use crate::runtime::api_server::client;
use crate::text::describe;

use super::crd_check::missing_fields;
use super::kubernetes::{home, kubernetes_access, suffices};
use super::{Cde, collector, runtime};

pub use finding::{Finding, Verdict, print_json, print_text};

/// Returns all findings, in the order of their dependencies.
#[must_use]
pub fn check(args: &CheckArgs) -> Vec<Finding> {
    match runtime() {
        Ok(runtime) => {
            let findings = runtime.block_on(findings(args));
            // Do not wait for a DNS server that does not answer.
            runtime.shutdown_background();
            findings
        }
        Err(error) => vec![Finding::new("process", Err(error.to_string()))],
    }
}

async fn findings(args: &CheckArgs) -> Vec<Finding> {
    let (mut findings, cde) = configuration(&args.run);
    let mut token = cde.as_ref().ok_or("configuration").map(|cde| cde.source.credential.current());
    match api_server(args).await {
        Ok((version, kube, client)) => {
            findings.push(Finding::new("kubernetes", Ok(version)));
            findings.push(installed_crds(&client).await);
            let home = namespace(args, &kube);
            findings.extend(permissions::findings(&client, &args.run, &home).await);
            if let Some(secret) = &args.run.oauth.secret {
                let found = check_secret(client, &home, secret).await;
                token = token.and(found.as_ref().map(|(_, token)| token.clone()).map_err(|_| "login"));
                findings.push(Finding::new("login", found.map(|(message, _)| message)));
            }
        }
        Err(why) => {
            findings.push(Finding::new("kubernetes", Err(why)));
            findings.push(Finding::skipped("crds", "kubernetes"));
            findings.push(Finding::skipped("permission", "kubernetes"));
            if args.run.oauth.secret.is_some() {
                findings.push(Finding::skipped("login", "kubernetes"));
                token = token.and(Err("kubernetes"));
            }
        }
    }
    findings.push(match (cde, token) {
        (Some(cde), Ok(token)) => cde::finding(&cde, &token, args.connector).await,
        (_, Err(other)) => Finding::skipped("cde", other),
        (None, Ok(_)) => Finding::skipped("cde", "configuration"),
    });
    findings
}

/// The operator's own namespace: that of the impersonated service account, unless the environment sets another one.
fn namespace(args: &CheckArgs, kube: &Config) -> String {
    let account = args.as_user.as_deref().and_then(|user| user.strip_prefix("system:serviceaccount:"));
    match account.and_then(|account| account.split(':').next()) {
        Some(namespace) if args.run.pod_namespace.is_none() => namespace.to_owned(),
        _ => home(&args.run, kube),
    }
}

/// Checks what `run` checks before it contacts anything.
fn configuration(args: &RunArgs) -> (Vec<Finding>, Option<Cde>) {
    match Cde::configured(args).and_then(|cde| collector(args).map(|_| cde)) {
        Ok(cde) => {
            let mode = match cde.source.secret() {
                Some(secret) => format!("with the login in the Secret {secret}"),
                None => "with a token file".to_owned(),
            };
            let valid = format!("valid, {mode}, for {}", cde.base);
            (vec![Finding::new("configuration", Ok(valid))], Some(cde))
        }
        Err(error) => (vec![Finding::new("configuration", Err(error.to_string()))], None),
    }
}

/// Checks that the API server responds and is new enough.
async fn api_server(args: &CheckArgs) -> Result<(String, Config, Client), String> {
    let mut kube = kubernetes_access().await.map_err(|error| error.to_string())?;
    if let Some(user) = &args.as_user {
        kube.auth_info.impersonate = Some(user.clone());
    }
    let client = client(kube.clone(), API_SERVER_TIMEOUT, None)
        .map_err(|error| format!("invalid access to Kubernetes: {error}"))?;
    let version = client
        .apiserver_version()
        .await
        .map_err(|error| format!("{} gives no valid response: {}", kube.cluster_url, describe(&error)))?;
    suffices(&version)?;
    Ok((format!("{} at {}", version.git_version, kube.cluster_url), kube, client))
}

async fn installed_crds(client: &Client) -> Finding {
    let found = match missing_fields(client).await {
        None => Ok("all CRDs are installed with all fields of this version".to_owned()),
        Some(why) => Err(why),
    };
    Finding::new("crds", found)
}
