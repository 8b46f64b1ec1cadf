//! The signals that stop the operator.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Error;

pub(super) struct Terminate {
    term: Signal,
    int: Signal,
}

impl Terminate {
    pub(super) fn new() -> Result<Self, Error> {
        let listen =
            |kind| signal(kind).map_err(|error| Error::Failed(format!("cannot listen for signals: {error}")));
        Ok(Self { term: listen(SignalKind::terminate())?, int: listen(SignalKind::interrupt())? })
    }

    pub(super) async fn received(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
