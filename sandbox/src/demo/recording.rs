//! A recording of the demo as an animated SVG, for the README: `cargo demo --svg docs/demo.svg`.
//!
//! The animation plays once and ends with the last tables, which are also what viewers without animations show.

use std::fmt::Write as _;
use std::time::Duration;

const COMMAND: &str = "$ cargo demo";
const COLUMNS: usize = 132;
/// Width of a hundred characters, height of a line, and margin, in pixels.
const HUNDRED: usize = 722;
const LEADING: usize = 18;
const MARGIN: usize = 14;

/// What a terminal showed, and when.
#[derive(Default)]
pub(crate) struct Recording {
    frames: Vec<(Duration, Vec<String>)>,
}

/// One line of the terminal, from its first moment until another text replaces it.
struct Line<'a> {
    row: usize,
    text: &'a str,
    from: Duration,
    until: Option<Duration>,
}

impl Recording {
    /// Adds what the terminal shows below the command from now on.
    pub(crate) fn add(&mut self, at: Duration, below: &[String]) {
        let lines = [COMMAND.to_owned(), String::new()].into_iter().chain(below.iter().cloned());
        self.frames.push((at, lines.collect()));
    }

    /// Adds lines below what the terminal shows last.
    pub(crate) fn append(&mut self, at: Duration, below: &[String]) {
        let mut lines = self.frames.last().map(|(_, lines)| lines.clone()).unwrap_or_default();
        lines.push(String::new());
        lines.extend_from_slice(below);
        self.frames.push((at, lines));
    }

    /// Returns the recording as an SVG document.
    pub(crate) fn svg(&self) -> String {
        let rows = self.frames.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0);
        let width = COLUMNS * HUNDRED / 100 + 2 * MARGIN;
        let height = rows * LEADING + 2 * MARGIN;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"ui-monospace, \
             SFMono-Regular, Menlo, Consolas, monospace\" font-size=\"12\" fill=\"#d4d4d4\">\n\
             <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1e1e1e\"/>\n"
        );
        for line in self.lines().iter().filter(|line| !line.text.is_empty()) {
            line.draw(&mut svg);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn lines(&self) -> Vec<Line<'_>> {
        let mut lines: Vec<Line> = Vec::new();
        for (at, frame) in &self.frames {
            for (row, text) in frame.iter().enumerate() {
                let before = lines.iter_mut().rev().find(|line| line.row == row);
                if before.as_ref().is_some_and(|before| before.text == text) {
                    continue;
                }
                if let Some(before) = before {
                    before.until = Some(*at);
                }
                lines.push(Line { row, text, from: *at, until: None });
            }
        }
        lines
    }
}

impl Line<'_> {
    fn draw(&self, svg: &mut String) {
        let y = MARGIN + (self.row + 1) * LEADING - 5;
        let (from, color) = (self.from.as_secs_f32(), self.color());
        let (visibility, set) = match self.until {
            Some(until) => {
                let length = until.saturating_sub(self.from).as_secs_f32();
                ("hidden", format!("to=\"visible\" begin=\"{from:.2}s\" dur=\"{length:.2}s\""))
            }
            None if self.from.is_zero() || self.text == COMMAND => ("visible", String::new()),
            None => ("visible", format!("to=\"hidden\" begin=\"0s\" dur=\"{from:.2}s\"")),
        };
        let _ = write!(
            svg,
            "<text xml:space=\"preserve\" x=\"{MARGIN}\" y=\"{y}\" fill=\"{color}\" visibility=\"{visibility}\">{}",
            escaped(self.text)
        );
        if !set.is_empty() {
            let _ = write!(svg, "<set attributeName=\"visibility\" {set}/>");
        }
        svg.push_str("</text>\n");
    }

    /// By the cell of the condition Ready.
    fn color(&self) -> &'static str {
        match self.text {
            text if text.contains(" True ") => "#7ec699",
            text if text.contains(" False ") => "#f08d8d",
            text if text.contains(" Unknown ") => "#e5c07b",
            _ => "#d4d4d4",
        }
    }
}

/// The text as XML, cut where the terminal ends.
fn escaped(text: &str) -> String {
    let mut kept: String = text.chars().take(COLUMNS).collect();
    if text.chars().count() > COLUMNS {
        kept.pop();
        kept.push('…');
    }
    kept.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(frames: &[(u64, &[&str])]) -> String {
        let mut recording = Recording::default();
        for (at, lines) in frames {
            let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
            recording.add(Duration::from_secs(*at), &lines);
        }
        recording.svg()
    }

    #[test]
    fn a_line_is_shown_until_another_text_replaces_it_and_the_last_one_stays() {
        let svg = recording(&[(0, &["NAME", "a  Unknown  Retrying"]), (2, &["NAME", "a  True  Restored"])]);
        assert_eq!(svg.matches(">NAME<").count(), 1);
        assert!(svg.contains("a  Unknown  Retrying<set attributeName=\"visibility\" to=\"visible\" begin=\"0.00s\" dur=\"2.00s\"/>"));
        assert!(svg.contains("visibility=\"visible\">a  True  Restored<set attributeName=\"visibility\" to=\"hidden\" begin=\"0s\" dur=\"2.00s\"/>"));
    }

    #[test]
    fn appended_lines_are_shown_below_those_that_stay() {
        let mut recording = Recording::default();
        recording.add(Duration::ZERO, &["NAME".to_owned()]);
        recording.append(Duration::from_secs(3), &["REFRESHES".to_owned()]);
        let svg = recording.svg();
        assert!(svg.contains("y=\"63\" fill=\"#d4d4d4\" visibility=\"visible\">NAME</text>"));
        assert!(svg.contains("y=\"99\" fill=\"#d4d4d4\" visibility=\"visible\">REFRESHES<set attributeName=\"visibility\" to=\"hidden\" begin=\"0s\" dur=\"3.00s\"/>"));
    }

    #[test]
    fn text_is_escaped_and_cut_at_the_width_of_the_terminal() {
        let long = "<&>".repeat(COLUMNS);
        let svg = recording(&[(0, &[long.as_str()])]);
        let kept = svg.split("visible\">").nth(2).and_then(|rest| rest.split("</text>").next());
        assert_eq!(kept.map(|kept| kept.matches("&lt;").count()), Some(COLUMNS / 3));
        assert!(kept.is_some_and(|kept| kept.ends_with("&amp;…")));
    }
}
