//! The signals that stop the operator.

#[cfg(not(unix))]
pub(super) use windows::Terminate;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

#[cfg(unix)]
use super::Error;

#[cfg(unix)]
pub(super) struct Terminate {
    term: Signal,
    int: Signal,
}

#[cfg(unix)]
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

/// The plugin is built for Windows, too, and uses this library.
#[cfg(not(unix))]
mod windows {
    use tokio::signal::windows::{CtrlC, ctrl_c};

    use crate::app::Error;

    pub(in crate::app) struct Terminate(CtrlC);

    impl Terminate {
        pub(in crate::app) fn new() -> Result<Self, Error> {
            let listening = ctrl_c();
            listening.map(Self).map_err(|error| Error::Failed(format!("cannot listen for signals: {error}")))
        }

        pub(in crate::app) async fn received(&mut self) {
            self.0.recv().await;
        }
    }
}
