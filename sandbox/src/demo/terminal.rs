//! The demo's output: headings, text, and a table that is redrawn in place on a terminal.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write, stdout};

/// Makes the terminal cut long lines. Redrawing would misplace lines that wrap.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";
const CLEAR_BELOW: &str = "\x1b[J";

/// Prints text. A closed standard output does not end the demo.
pub(crate) fn say(text: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints the heading of a section.
pub(crate) fn heading(text: &str) {
    if stdout().is_terminal() {
        say(&format!("\n\x1b[1m== {text}\x1b[0m"));
    } else {
        say(&format!("\n== {text}"));
    }
}

/// A table that changes while it is shown.
pub(crate) struct Live {
    terminal: bool,
    drawn: usize,
}

impl Live {
    /// Returns a table that is not drawn yet.
    pub(crate) fn new() -> Self {
        Self { terminal: stdout().is_terminal(), drawn: 0 }
    }

    /// Redraws the table on a terminal. Elsewhere prints only the line `change`.
    pub(crate) fn draw(&mut self, table: &[String], change: &str) {
        if !self.terminal {
            return say(change);
        }
        let mut frame = String::new();
        if self.drawn > 0 {
            let _ = write!(frame, "\x1b[{}A{CLEAR_BELOW}", self.drawn);
        }
        frame.push_str(NO_WRAP);
        frame.push_str(&table.join("\n"));
        frame.push_str(WRAP);
        self.drawn = table.len();
        say(&frame);
    }
}
