//! `cde-operator check`: is all there that `run` needs? Before an installation, or when nothing works.
//!
//! Each finding is one line. Nothing is changed anywhere: the API server is asked what one may do, and the CDE API gets
//! one read. What rests on something that failed is left out, and says so.

mod cde;
mod finding;
mod rights;

use kube::{Client, Config};

use crate::config::{CheckArgs, RunArgs};
use crate::controller::API_SERVER_TIMEOUT;
use crate::runtime::api_server::client;
use crate::text::describe;

use super::crd_check::missing_fields;
use super::kubernetes::{home, suffices};
use super::{Cde, collector, kubernetes_access, runtime};

pub use finding::{Finding, Verdict, print_json, print_text};

/// All findings, in the order in which they rest on each other.
#[must_use]
pub fn check(args: &CheckArgs) -> Vec<Finding> {
    match runtime() {
        Ok(runtime) => runtime.block_on(findings(args)),
        Err(error) => vec![Finding::new("process", Err(error.to_string()))],
    }
}

async fn findings(args: &CheckArgs) -> Vec<Finding> {
    let (mut findings, cde) = configuration(&args.run);
    match api_server(args).await {
        Ok((version, kube, client)) => {
            findings.push(Finding::new("kubernetes", Ok(version)));
            findings.push(definitions(&client).await);
            findings.extend(rights::findings(&client, &args.run, &place(args, &kube)).await);
        }
        Err(why) => {
            findings.push(Finding::new("kubernetes", Err(why)));
            findings.push(Finding::skipped("definitions", "kubernetes"));
            findings.push(Finding::skipped("rights", "kubernetes"));
        }
    }
    findings.push(match cde {
        Some(cde) => cde::finding(&cde, args.connector).await,
        None => Finding::skipped("cde", "configuration"),
    });
    findings
}

/// The operator's own namespace: that of whose rights are looked at, unless the environment says otherwise.
fn place(args: &CheckArgs, kube: &Config) -> String {
    let account = args.as_user.as_deref().and_then(|user| user.strip_prefix("system:serviceaccount:"));
    match account.and_then(|account| account.split(':').next()) {
        Some(namespace) if args.run.pod_namespace.is_none() => namespace.to_owned(),
        _ => home(&args.run, kube),
    }
}

/// What `run` would say before it contacts anything.
fn configuration(args: &RunArgs) -> (Vec<Finding>, Option<Cde>) {
    match Cde::configured(args).and_then(|cde| collector(args).map(|_| cde)) {
        Ok(cde) => {
            let sound = format!("sound, with a token, for {}", cde.base);
            (vec![Finding::new("configuration", Ok(sound))], Some(cde))
        }
        Err(error) => (vec![Finding::new("configuration", Err(error.to_string()))], None),
    }
}

/// Whether it answers, and is of an age to.
async fn api_server(args: &CheckArgs) -> Result<(String, Config, Client), String> {
    let mut kube = kubernetes_access().await.map_err(|error| error.to_string())?;
    if let Some(user) = &args.as_user {
        kube.auth_info.impersonate = Some(user.clone());
    }
    let client = client(kube.clone(), API_SERVER_TIMEOUT, None)
        .map_err(|error| format!("access to Kubernetes cannot be used: {error}"))?;
    let version = client.apiserver_version().await.map_err(|error| {
        format!("{} does not answer as it should: {}", kube.cluster_url, describe(&error))
    })?;
    suffices(&version)?;
    Ok((format!("{} at {}", version.git_version, kube.cluster_url), kube, client))
}

async fn definitions(client: &Client) -> Finding {
    let found = match missing_fields(client).await {
        None => Ok("all kinds are served, with all fields of this version".to_owned()),
        Some(why) => Err(why),
    };
    Finding::new("definitions", found)
}
