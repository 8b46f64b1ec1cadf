//! A client for the API server: its own retries off, every wait bounded.

use std::time::Duration;

use kube::client::ClientBuilder;
use kube::{Client, Config};

use super::progress::Progress;

/// A connection stands by then.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A request is sent by then.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A client that waits for `read` at most between two parts of an answer, and notes what is answered in `progress`.
///
/// # Errors
/// Where `config` cannot be used.
pub fn client(mut config: Config, read: Duration, progress: Option<&Progress>) -> kube::Result<Client> {
    config.default_retry = false;
    config.connect_timeout = Some(read.min(CONNECT_TIMEOUT));
    config.read_timeout = Some(read);
    config.write_timeout = Some(read.min(WRITE_TIMEOUT));
    config.reset_reader_on_write = true;
    let builder = ClientBuilder::try_from(config)?;
    Ok(match progress {
        Some(progress) => builder.with_layer(progress).build(),
        None => builder.build(),
    })
}
