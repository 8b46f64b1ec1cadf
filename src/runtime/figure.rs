//! How a collector tells one figure.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};

/// Writes `figure` down, under its whole name.
///
/// # Errors
/// Where it cannot be written down.
pub fn tell(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    figure: &impl EncodeMetric,
) -> fmt::Result {
    figure.encode(encoder.encode_descriptor(name, help, None, figure.metric_type())?)
}
