//! A connection that can send one byte at a time, from the status line on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// The pause of a connection before each byte, in milliseconds; 0 for full speed.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace(Arc<AtomicU64>);

impl Pace {
    pub(super) fn slow_down(&self, milliseconds: u64) {
        self.0.store(milliseconds, Ordering::SeqCst);
    }

    fn rest(&self) -> Option<Duration> {
        Some(self.0.load(Ordering::SeqCst)).filter(|rest| *rest > 0).map(Duration::from_millis)
    }
}

/// A stream that writes at a given pace.
pub(super) struct Slow<S> {
    stream: S,
    pace: Pace,
    resting: Option<Pin<Box<Sleep>>>,
}

impl<S> Slow<S> {
    pub(super) fn new(stream: S, pace: Pace) -> Self {
        Self { stream, pace, resting: None }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Slow<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(rest) = self.pace.rest() else {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        };
        let resting = self.resting.get_or_insert_with(|| Box::pin(tokio::time::sleep(rest)));
        ready!(resting.as_mut().poll(context));
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[..bytes.len().min(1)]));
        self.resting = None;
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Slow<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}
