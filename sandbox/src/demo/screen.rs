//! Where the demo speaks: headings, text, and a table that is drawn again in place where there is a terminal.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write, stdout};

/// Long lines are cut by the terminal instead of wrapped: a wrapped one would be drawn over wrongly.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";
const CLEAR_BELOW: &str = "\x1b[J";

/// Prints text. Nobody to read it is no reason to end.
pub(crate) fn say(text: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Begins a part.
pub(crate) fn heading(text: &str) {
    if stdout().is_terminal() {
        say(&format!("\n\x1b[1m== {text}\x1b[0m"));
    } else {
        say(&format!("\n== {text}"));
    }
}

/// A table that changes.
pub(crate) struct Live {
    terminal: bool,
    drawn: usize,
}

impl Live {
    /// Nothing is drawn yet.
    pub(crate) fn new() -> Self {
        Self { terminal: stdout().is_terminal(), drawn: 0 }
    }

    /// On a terminal the table replaces the one before; elsewhere only the news is printed.
    pub(crate) fn draw(&mut self, table: &[String], news: &str) {
        if !self.terminal {
            return say(news);
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
