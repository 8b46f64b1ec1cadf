//! The recordings in the documentation show what the commands really print on a terminal. `UPDATE_DOCS=1` writes them.

use std::fmt::Write as _;
use std::time::Duration;

use cde_harness::Kind;
use cde_sandbox::cde::{Connector, Fault, Operation, new_id};
use cde_sandbox::program::workspace;
use cde_sandbox::recording::{PLAIN, Recording, Row, Span};
use jiff::Timestamp;
use regex::Regex;

use super::documented::{DATE, NAMESPACE, normal};
use super::fixture::Incident;
use super::terminal::Terminal;

const COLUMNS: usize = 118;
/// Wide enough that no line is wrapped before the values in it are replaced.
const WIDE: u16 = 400;
const HEIGHT: u16 = 60;
/// A screen that is shown for a shorter time is part of the next one: a progress bar is removed before each line.
const MOMENT: Duration = Duration::from_millis(30);
const SHOPS: [&str; 12] = ["at", "be", "ch", "cz", "de", "dk", "es", "fr", "it", "nl", "pl", "se"];

/// Runs a command on a terminal, and returns a recording of it.
async fn record(incident: &Incident, args: &[&str]) -> Recording {
    let today = Timestamp::now().strftime("%Y%m%d").to_string();
    let mut command = incident.plugin(args);
    command.current_dir(incident.env.scratch.path());
    let written = Terminal::start(command).record().await;
    let shown = |text: &str| text.replace(&today, DATE).replace(&incident.env.namespace, NAMESPACE);
    let mut recording = Recording::new(&shown(&format!("kubectl cde {}", args.join(" "))), COLUMNS);
    let mut parser = vt100::Parser::new(HEIGHT.try_into().unwrap(), WIDE.try_into().unwrap(), 0);
    for (index, (at, bytes)) in written.iter().enumerate() {
        parser.process(bytes);
        if written.get(index + 1).is_none_or(|(next, _)| *next > *at + MOMENT) {
            recording.add(*at, &rows(parser.screen(), &shown));
        }
    }
    recording
}

/// Returns the lines of a screen, wrapped where the recorded terminal ends.
fn rows(screen: &vt100::Screen, shown: &impl Fn(&str) -> String) -> Vec<Row> {
    let mut rows = Vec::new();
    for line in 0..HEIGHT {
        let mut spans: Vec<Span> = Vec::new();
        for cell in (0..WIDE).filter_map(|column| screen.cell(line, column)) {
            let text = if cell.has_contents() { cell.contents() } else { " " };
            let color = match cell.fgcolor() {
                vt100::Color::Idx(1 | 9) => "#f08d8d",
                _ => PLAIN,
            };
            match spans.last_mut() {
                Some(last) if last.color == color && last.bold == cell.bold() => last.text.push_str(text),
                _ => spans.push(Span { text: text.to_owned(), color, bold: cell.bold() }),
            }
        }
        if let Some(last) = spans.last_mut() {
            last.text.truncate(last.text.trim_end().len());
        }
        let mut row = Row::default();
        let mut column = 0;
        for mut span in spans {
            let text: Vec<char> = shown(&span.text).chars().collect();
            let mut rest = &text[..];
            while column + rest.len() > COLUMNS {
                let (head, tail) = rest.split_at(COLUMNS - column);
                row.0.push(Span { text: head.iter().collect(), ..span.clone() });
                rows.push(std::mem::take(&mut row));
                (column, rest) = (0, tail);
            }
            column += rest.len();
            span.text = rest.iter().collect();
            row.0.push(span);
        }
        rows.push(row);
    }
    let is_empty = |row: &Row| row.0.iter().all(|span| span.text.is_empty());
    rows.truncate(rows.iter().rposition(|row| !is_empty(row)).map_or(0, |last| last + 1));
    rows
}

/// Returns the text that the last screen of a recording shows.
fn last_screen(svg: &str) -> String {
    let tags = Regex::new("<[^>]*>").unwrap();
    let mut lines: Vec<(usize, String)> = Vec::new();
    for line in svg.lines().filter(|line| line.contains("visibility=\"visible\"")) {
        let (_, y) = line.split_once("y=\"").unwrap();
        let y = y.split('"').next().unwrap().parse().unwrap();
        lines.push((y, tags.replace_all(line, "").into_owned()));
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

/// Compares a recording with the committed one, of which only the times may differ.
fn check(file: &str, recording: &Recording) {
    let (path, svg) = (workspace().join("docs").join(file), recording.svg());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, svg).unwrap();
        return;
    }
    let [committed, found] =
        [&std::fs::read_to_string(path).unwrap(), &svg].map(|svg| normal(&last_screen(svg)));
    assert_eq!(committed, found, "run this test with UPDATE_DOCS=1 to write docs/{file}");
}

#[tokio::test]
async fn the_recorded_batches_show_what_a_terminal_shows() {
    let incident = Incident::new().await;
    let mut list = "connector,name\n".to_owned();
    for (index, shop) in (0_u64..).zip(SHOPS) {
        let id = new_id();
        if shop != "de" {
            incident.env.sandbox.put(Connector::migrated(id).name(format!("shop-{shop}")));
        }
        let pause = Duration::from_millis(400 + 250 * (index % 4));
        incident.env.sandbox.inject(Fault::on(Operation::Changing).connector(id).delay(pause).pass());
        writeln!(list, "{id},shop-{shop}").unwrap();
    }
    std::fs::write(incident.env.scratch.path().join("list.csv"), list).unwrap();
    let args = ["rollback", "-f", "list.csv", "--batch-size", "4", "--max-failures", "1"];
    check("incident-batch.svg", &record(&incident, &args).await);
}

#[tokio::test]
async fn the_recorded_story_shows_what_a_terminal_shows() {
    let incident = Incident::new().await;
    let id = new_id();
    incident.env.sandbox.put(Connector::migrated(id).name("shop-es"));
    let answerless = |operation| Fault::on(operation).connector(id);
    incident.env.sandbox.inject(answerless(Operation::Changing).answer(500).after_effect());
    incident.env.sandbox.inject(answerless(Operation::Read).skip(1).answer(403).always());
    let name = format!("rollback-shop-es-{}", Timestamp::now().strftime("%Y%m%d"));
    incident.ok(&["rollback", &id.to_string(), "--name", &name]).await;
    incident.env.wait_for_reason(Kind::Rollback, &name, "OutcomeUnknown").await;
    check("incident-describe.svg", &record(&incident, &["describe", &name]).await);
}
