//! `kubectl cde version`: the versions of the plugin and of the operator.

use std::process::ExitCode;

use super::print;
use crate::cli::{KubernetesArgs, VersionArgs};
use crate::cluster::Cluster;
use crate::deployment::Operator;
use crate::error::Error;

pub(super) async fn run(kubernetes: &KubernetesArgs, args: &VersionArgs) -> Result<ExitCode, Error> {
    print(format_args!("Plugin:    {}\n", env!("CARGO_PKG_VERSION")))?;
    if !args.client {
        let cluster = Cluster::new(kubernetes).await?;
        let operator = Operator::read(&cluster, args.operator.as_deref()).await?;
        print(format_args!("Operator:  {}\n", operator.image))?;
    }
    Ok(ExitCode::SUCCESS)
}
