//! `docs/incident.md` shows what the commands really print. `UPDATE_DOCS=1` writes it.

use std::fmt::Write as _;
use std::path::PathBuf;

use cde_harness::Kind;
use cde_sandbox::cde::{Connector, Fault, Operation};
use jiff::Timestamp;
use regex::Regex;
use uuid::Uuid;

use super::fixture::{Ended, Incident, run};

/// The page has these in place of the values that differ from run to run.
pub(crate) const DATE: &str = "20261129";
pub(crate) const NAMESPACE: &str = "connectors";
const BATCH: &str = "batch=BATCH";
const SHOPS: [&str; 6] = ["shop-at", "shop-be", "shop-ch", "shop-de", "shop-es", "shop-fr"];

fn page() -> PathBuf {
    cde_sandbox::program::workspace().join("docs/incident.md")
}

fn connector(number: usize) -> Uuid {
    format!("00000000-0000-4000-8000-{number:012}").parse().unwrap()
}

/// Puts a connector that can be rolled back into the CDE.
fn put(incident: &Incident, index: usize) {
    incident.env.sandbox.put(Connector::migrated(connector(index + 1)).name(SHOPS[index]));
}

/// Returns a text without what differs from run to run. Columns may have other widths.
pub(crate) fn normal(text: &str) -> String {
    let replace = |text: String, pattern: &str, by: &str| {
        Regex::new(pattern).unwrap().replace_all(&text, by).into_owned()
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = replace(text, r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME");
    let text = replace(text, r"\((in [^)]*|[^)]* ago|now)\)", "(DISTANCE)");
    let text = replace(text, r"[0-9a-f]{8}(-?)[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", "ID$1");
    let text = replace(text, r"batch=[0-9a-zA-Z-]+", "batch=ID");
    replace(text, r" \d+[smhd] ", " AGE ")
}

/// Returns what a command prints, in the order of a terminal: the result after what was said before it.
fn output(ended: &Ended) -> String {
    match ended.stderr.split_once("\nerror: ") {
        Some((before, error)) => format!("{before}\n{}error: {error}", ended.stdout),
        None if ended.stderr.starts_with("error: ") => format!("{}{}", ended.stdout, ended.stderr),
        None => format!("{}{}", ended.stderr, ended.stdout),
    }
}

#[tokio::test]
async fn the_documented_incident_prints_what_the_page_shows() {
    let incident = Incident::new().await;
    for index in [0, 3, 4, 5] {
        put(&incident, index);
    }
    let answerless = |operation| Fault::on(operation).connector(connector(5));
    incident.env.sandbox.inject(answerless(Operation::Changing).answer(500).after_effect());
    incident.env.sandbox.inject(answerless(Operation::Read).skip(2).answer(403).always());
    let text = std::fs::read_to_string(page()).unwrap();
    let directory = incident.env.scratch.path().to_owned();
    let (_, list) = text.split_once("```text\n").unwrap();
    std::fs::write(directory.join("list.csv"), list.split("```").next().unwrap()).unwrap();

    let today = Timestamp::now().strftime("%Y%m%d").to_string();
    let any_batch = Regex::new("batch=[0-9a-f-]+").unwrap();
    let mut batch = String::new();
    let mut written = String::new();
    for (index, part) in text.split("```").enumerate() {
        let Some(commands) = part.strip_prefix("console\n").filter(|block| block.starts_with("$ ")) else {
            written += if index == 0 { "" } else { "```" };
            written += part;
            continue;
        };
        written += "```console\n";
        for line in commands.lines().filter(|line| line.starts_with("$ ")) {
            let real = line.trim_start_matches("$ kubectl cde ").replace(DATE, &today).replace(BATCH, &batch);
            if real == "status" {
                for name in ["rollback-shop-es", "rollback-shop-fr"] {
                    let name = format!("{name}-{today}");
                    let previewed =
                        |object: &cde_harness::Object| object.message().contains("Would roll back");
                    incident.env.wait_until(Kind::Rollback, &name, "previewed", previewed).await;
                }
            }
            if real.starts_with("retry") {
                put(&incident, 1);
                put(&incident, 2);
            }
            let args: Vec<&str> = real.split_whitespace().collect();
            let mut command = incident.plugin(&args);
            command.current_dir(&directory);
            let shown = output(&run(command, "").await);
            if batch.is_empty() {
                batch = any_batch.find(&shown).unwrap().as_str().to_owned();
            }
            if real.starts_with("confirm") {
                let name = args[1];
                incident.env.wait_for_reason(Kind::Rollback, name, "RolledBack").await;
            }
            let shown = shown.replace(&today, DATE).replace(&incident.env.namespace, NAMESPACE);
            let shown = shown.replace(&batch.replace(&today, DATE), BATCH);
            write!(written, "{line}\n{shown}").unwrap();
        }
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(page(), &written).unwrap();
        return;
    }
    assert_eq!(normal(&text), normal(&written), "run this test with UPDATE_DOCS=1");
}
