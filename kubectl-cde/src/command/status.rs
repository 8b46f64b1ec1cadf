//! `kubectl cde status`: what needs a person, what waits and for what, what is under way, what is done.

use std::fmt::Write as _;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use cde_operator::runtime::clock;
use cde_operator::text::cut;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

use super::print;
use super::status_watch::follow;
use crate::cli::KubernetesArgs;
use crate::cli::selection::{SelectArgs, StatusArgs};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::output::Format;
use crate::request::Request;
use crate::request::group::{Group, summary};
use crate::request::select::select;
use crate::table::table;

/// Longer messages are cut, unless the output is wide.
const MAX_MESSAGE: usize = 100;
const BOLD: Style = Style::new().bold();
const ALARM: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));

pub(super) async fn run(kubernetes: &KubernetesArgs, args: &StatusArgs) -> Result<ExitCode, Error> {
    let cluster = Cluster::new(kubernetes).await?;
    let requests = select(&cluster, &args.select).await?;
    let all: Vec<&Request> = requests.iter().collect();
    if let Some(format) = &args.output
        && let Some(text) = format.render(&all)?
    {
        print(text)?;
        return Ok(ExitCode::SUCCESS);
    }
    if requests.is_empty() {
        print(format_args!("{}\n", nothing(&cluster, &args.select).await))?;
    } else {
        let wide = args.output == Some(Format::Wide);
        let lists_done = wide || args.select.has_names() || !args.select.reasons.is_empty();
        let view = View { namespaces: args.select.all_namespaces, wide, lists_done, now: clock::now() };
        print(view.text(&all))?;
    }
    if args.watch {
        follow(&cluster, &args.select, &requests).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says that nothing was found, and where else to look.
async fn nothing(cluster: &Cluster, select: &SelectArgs) -> String {
    let which = if select.is_everything() { "" } else { " that match" };
    if select.all_namespaces {
        return format!("No requests{which} in any namespace.");
    }
    let namespace = &cluster.namespace;
    // Not everybody may read namespaces.
    let found = Api::<Namespace>::all(cluster.client.clone()).get_metadata_opt(namespace).await;
    let absent = if matches!(found, Ok(None)) { ", which does not exist" } else { "" };
    format!("No requests{which} in {namespace}{absent}: see -n or -A.")
}

/// How the table looks.
pub(super) struct View {
    /// Whether there is a column for the namespace.
    pub(super) namespaces: bool,
    /// Whether messages are complete.
    pub(super) wide: bool,
    /// Whether requests that need nothing are listed, and not only counted.
    pub(super) lists_done: bool,
    /// The present time.
    pub(super) now: Timestamp,
}

impl View {
    /// Returns the counts and the tables of all groups.
    pub(super) fn text(&self, requests: &[&Request]) -> String {
        let mut text = format!("{}\n", summary(requests.iter().copied()));
        let mut rows = vec![self.header()];
        let mut titles = Vec::new();
        for group in Group::ALL {
            let members: Vec<&&Request> = requests.iter().filter(|one| Group::of(one) == group).collect();
            if members.is_empty() || (group == Group::Done && !self.lists_done) {
                continue;
            }
            titles.push((rows.len(), group));
            rows.extend(members.into_iter().map(|request| self.row(request)));
        }
        if rows.len() == 1 {
            return text;
        }
        for (index, line) in table(&rows).into_iter().enumerate() {
            if let Some((_, group)) = titles.iter().find(|(at, _)| *at == index) {
                let style = if *group == Group::Person { ALARM } else { BOLD };
                let _ = write!(text, "\n{style}{}{style:#}\n", group.title());
            } else if index == 0 {
                text.push('\n');
            }
            let _ = writeln!(text, "{line}");
        }
        text
    }

    fn header(&self) -> Vec<String> {
        let columns = ["NAME", "CONNECTOR", "VERSION", "REASON", "AGE", "MESSAGE"].map(str::to_owned);
        let namespace = self.namespaces.then(|| "NAMESPACE".to_owned());
        namespace.into_iter().chain(columns).collect()
    }

    fn row(&self, request: &Request) -> Vec<String> {
        let message = request.message();
        let version = request.version().unwrap_or("-").to_owned();
        let reason = if request.is_reopening() { "Retrying" } else { request.reason() };
        let columns = [
            request.to_string(),
            request.connector_name().map_or_else(|| request.connector(), |name| cut(&name, 40)),
            version,
            reason.to_owned(),
            age(request, self.now),
            if self.wide { message } else { cut(&message, MAX_MESSAGE) },
        ];
        let namespace = self.namespaces.then(|| request.namespace().to_owned());
        namespace.into_iter().chain(columns).collect()
    }
}

/// Returns the age of a request in its largest unit.
pub(super) fn age(request: &Request, now: Timestamp) -> String {
    let Some(created) = request.metadata().creation_timestamp.as_ref() else { return "-".to_owned() };
    let seconds = now.duration_since(created.0).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
