//! `kubectl cde confirm`: records what a person saw in the CDE about a request whose outcome is unknown.

use std::process::ExitCode;

use cde_operator::api::{CONFIRM_ANNOTATION, Outcome};
use serde_json::json;

use super::{note, print};
use crate::cli::KubernetesArgs;
use crate::cli::selection::ConfirmArgs;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::prompt;
use crate::request::change::patch;
use crate::request::select::select_one;
use crate::story::evidence;

pub(super) async fn run(kubernetes: &KubernetesArgs, args: &ConfirmArgs) -> Result<ExitCode, Error> {
    let cluster = Cluster::new(kubernetes).await?;
    let request = select_one(&cluster, &args.name).await?;
    let operation = request.status.operation.as_ref();
    let Some(operation) = operation.filter(|_| request.status.outcome == Some(Outcome::Unknown)) else {
        return Err(Error::NotDone(format!(
            "the outcome of {request} is not unknown ({}), so there is nothing to confirm",
            request.reason()
        )));
    };
    let (outcome, claim) = if args.succeeded {
        (Outcome::Succeeded, "it had its effect")
    } else {
        (Outcome::Failed, "it had no effect")
    };
    note(evidence(&request, cluster.server_time().await?));
    let question = format!("Have you looked at the connector in the CDE, and do you confirm that {claim}?");
    prompt::confirm(&question, args.yes)?;
    let value = format!("{}:{}", operation.id, outcome.as_str());
    patch(&cluster, &request, json!({"metadata": {"annotations": {CONFIRM_ANNOTATION: value}}})).await?;
    print(format_args!("{request} confirmed: {claim}\n"))?;
    Ok(ExitCode::SUCCESS)
}
