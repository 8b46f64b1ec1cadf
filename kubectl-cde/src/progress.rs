//! A progress bar under the output on a terminal; only the output elsewhere.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use crate::command::print;
use crate::error::Error;

/// The progress of a command that follows requests. The bar disappears when the value is dropped.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Returns a progress bar without an extent.
    pub(crate) fn new() -> Self {
        let is_live = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
        Self { bar: is_live.then(|| ProgressBar::new(0).with_style(style)) }
    }

    /// Writes a line to standard output, above the bar.
    pub(crate) fn line(&self, text: &str) -> Result<(), Error> {
        let write = || print(format_args!("{text}\n"));
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Shows how many are done, with a text beside the bar.
    pub(crate) fn show(&self, done: usize, total: usize, text: String) {
        if let Some(bar) = &self.bar {
            bar.set_length(u64::try_from(total).unwrap_or(u64::MAX));
            bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
            bar.set_message(text);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
