//! `kubectl cde version`: the versions of the plugin, the CRDs and the operator.

use std::process::ExitCode;

use cde_operator::VERSION;

use super::{note, print};
use crate::cli::{KubernetesArgs, VersionArgs};
use crate::cluster::Cluster;
use crate::crds::Crds;
use crate::deployment::Operator;
use crate::error::Error;

pub(super) async fn run(kubernetes: &KubernetesArgs, args: &VersionArgs) -> Result<ExitCode, Error> {
    print(format_args!("Plugin:    {VERSION}\n"))?;
    if args.client {
        return Ok(ExitCode::SUCCESS);
    }
    let cluster = Cluster::new(kubernetes).await?;
    print(format_args!("CRDs:      {}\n", Crds::read(&cluster).await?))?;
    match Operator::read(&cluster, args.operator.as_deref()).await {
        Ok(operator) => {
            print(format_args!("Operator:  {}\n", operator.image))?;
            if tag(&operator.image).is_some_and(|tag| Some(tag) != VERSION.split('+').next()) {
                note(
                    "warning: the operator has another version than the plugin: install the plugin of its version",
                );
            }
        }
        // People who make requests need no permission in the operator's namespace.
        Err(why) => print(format_args!("Operator:  unknown: {why}\n"))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the version in the tag of an image, if it has one.
fn tag(image: &str) -> Option<&str> {
    let name = image.split('@').next()?;
    let (_, tag) = name.rsplit('/').next()?.split_once(':')?;
    let tag = tag.strip_prefix('v').unwrap_or(tag);
    tag.starts_with(|c: char| c.is_ascii_digit()).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_the_tag_of_the_image() {
        assert_eq!(tag("registry:5000/cde-operator:v0.1.0@sha256:abc"), Some("0.1.0"));
        assert_eq!(tag("cde-operator:0.2.0"), Some("0.2.0"));
        for image in ["registry:5000/cde-operator", "cde-operator:latest", "cde-operator@sha256:1"] {
            assert_eq!(tag(image), None, "{image}");
        }
    }
}
