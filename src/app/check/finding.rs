//! Findings of the preflight checks, and their output for people and scripts.

use std::io::{Result, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::text::clean;

/// Maximum number of characters of a message.
const MESSAGE: usize = 400;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// One sentence: what was found and, for a failure, what to do.
    pub message: String,
}

/// The verdict of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Passed.
    Ok,
    /// Failed.
    Failed,
    /// Skipped, because another check failed.
    Skipped,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Ok => AnsiColor::Green.on_default(),
            Self::Failed => AnsiColor::Red.on_default().bold(),
            Self::Skipped => AnsiColor::Yellow.on_default(),
        }
    }
}

impl Finding {
    pub(super) fn new(check: &'static str, found: std::result::Result<String, String>) -> Self {
        let (verdict, message) = match found {
            Ok(seen) => (Verdict::Ok, seen),
            Err(wrong) => (Verdict::Failed, wrong),
        };
        Self { check, verdict, message: clean(&message, MESSAGE) }
    }

    pub(super) fn skipped(check: &'static str, other: &str) -> Self {
        let message = format!("skipped: depends on the {other} check");
        Self { check, verdict: Verdict::Skipped, message }
    }
}

/// Prints one line per finding.
///
/// # Errors
/// If `out` cannot be written.
pub fn print_text(findings: &[Finding], mut out: impl Write) -> Result<()> {
    for Finding { check, verdict, message } in findings {
        let (style, word) = (verdict.style(), verdict.word());
        writeln!(out, "{style}{word:<8}{style:#}{check:<15}{message}")?;
    }
    Ok(())
}

/// Prints a JSON array.
///
/// # Errors
/// If `out` cannot be written.
pub fn print_json(findings: &[Finding], mut out: impl Write) -> Result<()> {
    serde_json::to_writer_pretty(&mut out, findings)?;
    writeln!(out)
}
