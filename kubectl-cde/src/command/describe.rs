//! `kubectl cde describe`: the story of one request.

use std::process::ExitCode;

use super::print;
use crate::cli::KubernetesArgs;
use crate::cli::selection::DescribeArgs;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::request::select::select_one;
use crate::story::story;

pub(super) async fn run(kubernetes: &KubernetesArgs, args: &DescribeArgs) -> Result<ExitCode, Error> {
    let cluster = Cluster::new(kubernetes).await?;
    let request = select_one(&cluster, &args.name).await?;
    let now = cluster.server_time().await?;
    print(story(&request, now))?;
    Ok(ExitCode::SUCCESS)
}
