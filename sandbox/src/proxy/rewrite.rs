//! Changes to the JSON of responses, one document at a time.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, BoxStream, Stream, TryStreamExt};
use hyper::body::{Bytes, Frame};

use super::rule::{Call, Rule};

/// Returns a changed document, or `None` to withhold it.
pub(super) type Rewrite = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The active rules. The first one that matches a request applies.
#[derive(Default)]
pub(super) struct Rewrites(Mutex<Vec<(Rule, Rewrite)>>);

impl Rewrites {
    pub(super) fn add(&self, rule: Rule, rewrite: Rewrite) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((rule, rewrite));
    }

    /// Returns how to change the documents of the response to `call`.
    pub(super) fn take(&self, call: &Call) -> Option<Rewrite> {
        let mut rewrites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rewrites.iter_mut().find_map(|(rule, rewrite)| rule.take(call).then(|| rewrite.clone()))
    }
}

impl fmt::Debug for Rewrites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rewrites")
    }
}

type Frames = BoxStream<'static, io::Result<Frame<Bytes>>>;

/// Returns `frames` with each document rewritten: each line if `lines` is set, otherwise all lines as one.
pub(super) fn rewritten(
    frames: Frames,
    lines: bool,
    rewrite: Rewrite,
) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send {
    stream::try_unfold(Some((frames, Vec::new())), move |state| {
        let rewrite = rewrite.clone();
        async move {
            let Some((mut frames, mut buffer)) = state else { return Ok(None) };
            loop {
                if lines && let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                    let rest = buffer.split_off(end + 1);
                    let line = std::mem::replace(&mut buffer, rest);
                    match document(&line, &rewrite) {
                        Some(frame) => return Ok(Some((frame, Some((frames, buffer))))),
                        None => continue,
                    }
                }
                match frames.try_next().await? {
                    Some(frame) => buffer.extend(frame.into_data().unwrap_or_default()),
                    None if buffer.is_empty() => return Ok(None),
                    None => return Ok(document(&buffer, &rewrite).map(|frame| (frame, None))),
                }
            }
        }
    })
}

fn document(bytes: &[u8], rewrite: &Rewrite) -> Option<Frame<Bytes>> {
    let text = String::from_utf8_lossy(bytes);
    let (text, end) = text.strip_suffix('\n').map_or((&*text, ""), |text| (text, "\n"));
    rewrite(text).map(|text| Frame::data(Bytes::from(text + end)))
}
