//! What was found, and how it is told: to people and to scripts.

use std::io::{Result, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::text::clean;

/// Longer messages are cut (characters): a line stays one.
const MESSAGE: usize = 400;

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// One sentence: what was seen; of a failure also what to do.
    pub message: String,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not as it should be.
    Failed,
    /// Not looked at, since something that it rests on failed.
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
    /// What was seen, or what is wrong.
    pub(super) fn new(check: &'static str, found: std::result::Result<String, String>) -> Self {
        let (verdict, message) = match found {
            Ok(seen) => (Verdict::Ok, seen),
            Err(wrong) => (Verdict::Failed, wrong),
        };
        Self { check, verdict, message: clean(&message, MESSAGE) }
    }

    /// Not looked at, since `other` failed.
    pub(super) fn skipped(check: &'static str, other: &str) -> Self {
        let message = format!("not looked at: {other} comes first");
        Self { check, verdict: Verdict::Skipped, message }
    }
}

/// One line each.
///
/// # Errors
/// If nothing can be written to `out`.
pub fn print_text(findings: &[Finding], mut out: impl Write) -> Result<()> {
    for Finding { check, verdict, message } in findings {
        let (style, word) = (verdict.style(), verdict.word());
        writeln!(out, "{style}{word:<8}{style:#}{check:<15}{message}")?;
    }
    Ok(())
}

/// One array.
///
/// # Errors
/// If nothing can be written to `out`.
pub fn print_json(findings: &[Finding], mut out: impl Write) -> Result<()> {
    serde_json::to_writer_pretty(&mut out, findings)?;
    writeln!(out)
}
