//! Recordings of a terminal as animated SVGs, for the documentation.
//!
//! An animation plays once and ends with the last lines, which are also what viewers without animations show.

use std::fmt::Write as _;
use std::time::Duration;

/// Width of a hundred characters, height of a line, and margin, in pixels.
const HUNDRED: usize = 722;
const LEADING: usize = 18;
const MARGIN: usize = 14;
/// The color of text that has no other.
pub const PLAIN: &str = "#d4d4d4";

/// What a terminal showed below a command, and when.
#[derive(Debug)]
pub struct Recording {
    command: Row,
    columns: usize,
    frames: Vec<(Duration, Vec<Row>)>,
}

/// A line of a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row(pub Vec<Span>);

/// Text in one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The text.
    pub text: String,
    /// Its color, as SVG writes it.
    pub color: &'static str,
    /// Whether it is bold.
    pub bold: bool,
}

impl Row {
    /// Returns text in one color.
    #[must_use]
    pub fn new(text: impl Into<String>, color: &'static str) -> Self {
        Self(vec![Span { text: text.into(), color, bold: false }])
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|span| span.text.is_empty())
    }

    /// The row, cut where the terminal ends.
    fn cut(&self, columns: usize) -> Self {
        let length = |span: &Span| span.text.chars().count();
        if self.0.iter().map(length).sum::<usize>() <= columns {
            return self.clone();
        }
        let mut left = columns - 1;
        let mut spans = Vec::new();
        for span in &self.0 {
            let mut span = span.clone();
            span.text = span.text.chars().take(left).collect();
            left -= length(&span);
            spans.push(span);
        }
        if let Some(last) = spans.iter_mut().rfind(|span| !span.text.is_empty()) {
            last.text.push('…');
        }
        Self(spans)
    }
}

/// One line of the terminal, from its first moment until another one replaces it.
struct Line<'a> {
    row: usize,
    content: &'a Row,
    from: Duration,
    until: Option<Duration>,
}

impl Recording {
    /// Returns a recording of `command` on a terminal of this width.
    #[must_use]
    pub fn new(command: &str, columns: usize) -> Self {
        Self { command: Row::new(format!("$ {command}"), PLAIN), columns, frames: Vec::new() }
    }

    /// Adds what the terminal shows below the command from now on.
    pub fn add(&mut self, at: Duration, below: &[Row]) {
        let lines = [self.command.clone(), Row::default()].into_iter().chain(below.iter().cloned());
        self.frames.push((at, lines.collect()));
    }

    /// Adds lines below what the terminal shows last.
    pub fn append(&mut self, at: Duration, below: &[Row]) {
        let mut lines = self.frames.last().map(|(_, lines)| lines.clone()).unwrap_or_default();
        lines.push(Row::default());
        lines.extend_from_slice(below);
        self.frames.push((at, lines));
    }

    /// Returns the recording as an SVG document.
    #[must_use]
    pub fn svg(&self) -> String {
        let rows = self.frames.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0);
        let width = self.columns * HUNDRED / 100 + 2 * MARGIN;
        let height = rows * LEADING + 2 * MARGIN;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"ui-monospace, \
             SFMono-Regular, Menlo, Consolas, monospace\" font-size=\"12\" fill=\"{PLAIN}\">\n\
             <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1e1e1e\"/>\n"
        );
        for line in self.lines().iter().filter(|line| !line.content.is_empty()) {
            line.draw(&mut svg, self.columns);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn lines(&self) -> Vec<Line<'_>> {
        let mut lines: Vec<Line> = Vec::new();
        for (at, frame) in &self.frames {
            let nothing = Row::default();
            let height = self.frames.iter().map(|(_, frame)| frame.len()).max().unwrap_or(0);
            for row in 0..height {
                let before = lines.iter_mut().rev().find(|line| line.row == row);
                let content = frame.get(row);
                if before.as_ref().map_or(&nothing, |before| before.content) == content.unwrap_or(&nothing) {
                    continue;
                }
                if let Some(before) = before {
                    before.until.get_or_insert(*at);
                }
                if let Some(content) = content {
                    lines.push(Line { row, content, from: *at, until: None });
                }
            }
        }
        lines
    }
}

impl Line<'_> {
    fn draw(&self, svg: &mut String, columns: usize) {
        let y = MARGIN + (self.row + 1) * LEADING - 5;
        let from = self.from.as_secs_f32();
        let (visibility, set) = match self.until {
            Some(until) => {
                let length = until.saturating_sub(self.from).as_secs_f32();
                ("hidden", format!("to=\"visible\" begin=\"{from:.2}s\" dur=\"{length:.2}s\""))
            }
            // The command is there from the beginning.
            None if self.from.is_zero() || self.row == 0 => ("visible", String::new()),
            None => ("visible", format!("to=\"hidden\" begin=\"0s\" dur=\"{from:.2}s\"")),
        };
        let content = self.content.cut(columns);
        let color = content.0.first().map_or(PLAIN, |span| span.color);
        let _ = write!(
            svg,
            "<text xml:space=\"preserve\" x=\"{MARGIN}\" y=\"{y}\" fill=\"{color}\" visibility=\"{visibility}\">"
        );
        for span in &content.0 {
            let text = escaped(&span.text);
            let mut style = String::new();
            if span.color != color {
                let _ = write!(style, " fill=\"{}\"", span.color);
            }
            if span.bold {
                style.push_str(" font-weight=\"bold\"");
            }
            if style.is_empty() {
                svg.push_str(&text);
            } else {
                let _ = write!(svg, "<tspan{style}>{text}</tspan>");
            }
        }
        if !set.is_empty() {
            let _ = write!(svg, "<set attributeName=\"visibility\" {set}/>");
        }
        svg.push_str("</text>\n");
    }
}

/// The text as XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: usize = 132;

    fn recording(frames: &[(u64, &[&str])]) -> String {
        let mut recording = Recording::new("kubectl get cde", COLUMNS);
        for (at, lines) in frames {
            let lines: Vec<_> = lines.iter().map(|line| Row::new(*line, PLAIN)).collect();
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
        let mut recording = Recording::new("kubectl get cde", COLUMNS);
        recording.add(Duration::ZERO, &[Row::new("NAME", PLAIN)]);
        recording.append(Duration::from_secs(3), &[Row::new("REFRESHES", PLAIN)]);
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

    #[test]
    fn a_line_that_disappears_is_hidden_at_the_end_and_other_spans_have_their_own_style() {
        let bar = Span { text: "==>".to_owned(), color: "#f08d8d", bold: true };
        let plain = Span { text: " 1/2".to_owned(), color: PLAIN, bold: false };
        let mut recording = Recording::new("kubectl cde wait", COLUMNS);
        recording.add(Duration::from_secs(1), &[Row(vec![plain, bar])]);
        recording.add(Duration::from_secs(2), &[]);
        let svg = recording.svg();
        assert!(
            svg.contains(
                "visibility=\"hidden\"> 1/2<tspan fill=\"#f08d8d\" font-weight=\"bold\">==&gt;</tspan><set"
            ),
            "{svg}"
        );
        assert_eq!(svg.matches("visibility=\"visible\"").count(), 1, "the command: {svg}");
    }
}
