//! The requests that went through the proxy.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::rule::Call;

/// One request and its result so far.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The request.
    pub call: Call,
    /// When it had arrived completely.
    pub at: Timestamp,
    /// Whether it was forwarded to the server.
    pub forwarded: bool,
    /// The status that the client got, from the server or the proxy; `None` until it gets a response.
    pub status: Option<u16>,
    /// How many bytes of the response's body were forwarded. A watch keeps growing.
    pub response_bytes: u64,
}

/// All exchanges, in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Vec<Exchange>>);

impl Ledger {
    /// Adds a request and returns its number for [`Self::update`].
    pub(super) fn note(&self, call: Call) -> usize {
        let mut exchanges = self.lock();
        exchanges.push(Exchange {
            call,
            at: Timestamp::now(),
            forwarded: false,
            status: None,
            response_bytes: 0,
        });
        exchanges.len() - 1
    }

    pub(super) fn update(&self, number: usize, change: impl FnOnce(&mut Exchange)) {
        if let Some(exchange) = self.lock().get_mut(number) {
            change(exchange);
        }
    }

    pub(super) fn all(&self) -> Vec<Exchange> {
        self.lock().clone()
    }

    pub(super) fn count(&self, matches: impl Fn(&Call) -> bool) -> usize {
        self.lock().iter().filter(|exchange| matches(&exchange.call)).count()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
