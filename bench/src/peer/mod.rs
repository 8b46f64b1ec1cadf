//! `cargo benchmark peer`: the same script for any custom resource. It creates objects from a template, waits until each has
//! its end, and counts calls, effects, requests to the API server, CPU and memory. Each template is a column of one table.
//!
//! One more object goes first and does not count. It shows that the template works, and pulls the images.

mod place;
mod requests;
mod template;

use std::collections::HashSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cde_sandbox::process::{self, Process};
use cde_sandbox::program::workspace;
use cde_sandbox::table;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use self::place::{Place, Reading};
use self::requests::Requests;
use self::template::{End, Subject, Template};
use crate::figure::Figures;
use crate::ledger::Ledger;
use crate::play::{self, note};
use crate::report::number;
use crate::statistics::count;
use crate::usage::{load, megabytes};

/// The largest number of templates.
const COLUMNS: usize = 4;
/// The templates without `--template`, and their ends.
const SHIPPED: [(&str, &str); 3] = [
    ("bench/peers/restore.yaml", "{.status.outcome}=Succeeded"),
    ("bench/peers/rollback.yaml", "{.status.outcome}=Succeeded"),
    ("bench/peers/job.yaml", r#"{.status.conditions[?(@.type=="Complete")].status}=True"#),
];

#[derive(Debug, clap::Args)]
pub(crate) struct PeerArgs {
    /// A manifest template, up to four times. `__NAME__` is replaced in it, and so are `__NAMESPACE__`, `__URL__` and
    /// `__TOKEN__` (of the simulated CDE), `__DELETED_CONNECTOR__` and `__MIGRATED_CONNECTOR__`. The end is that of its
    /// first document. By default: restore.yaml, rollback.yaml and job.yaml in bench/peers.
    #[arg(long, value_name = "FILE", requires = "end")]
    template: Vec<PathBuf>,
    /// When an object of the template is done, in the syntax of `kubectl wait --for=jsonpath=`, such as
    /// `{.status.outcome}=Succeeded`. Once for each template, in the same order.
    #[arg(long, value_name = "JSONPATH=VALUE", requires = "template")]
    end: Vec<End>,
    /// The number of objects.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    objects: u32,
    /// The number of objects created at the same time, and the operator's `--concurrency`.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// The time limit for all objects of a template, in minutes.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// The cluster to use, instead of a new control plane with the operator or the controllers of Kubernetes. kubectl must
    /// be in PATH. The cluster should do nothing else.
    #[arg(long, value_name = "FILE", requires = "template")]
    kubeconfig: Option<PathBuf>,
    /// A process on this machine that processes the objects in that cluster, any number of times.
    #[arg(long, value_name = "PID", requires = "kubeconfig")]
    process: Vec<u32>,
    /// The address of the simulated CDE. Pods of a cluster need one that they reach, and everyone who reaches it can change
    /// everything there.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The operator binary to measure, instead of a new release build.
    #[arg(long, value_name = "FILE")]
    operator: Option<PathBuf>,
}

/// Measures one template after the other, and prints one table.
///
/// # Errors
/// If something cannot be started or measured.
pub(crate) async fn compare(args: &PeerArgs) -> Result<()> {
    let templates = args.templates()?;
    let operator = match &args.kubeconfig {
        Some(_) => PathBuf::new(),
        None => play::operator(args.operator.as_deref()).await?,
    };
    let before = load()?;
    let (mut columns, mut notes) = (Vec::new(), Vec::new());
    for template in &templates {
        note(&format!("{}: {} objects", template.name, args.objects));
        let mut place = match &args.kubeconfig {
            Some(file) => Place::cluster(args, file).await?,
            None => Place::own(args, template, &operator).await?,
        };
        let figures = measure(args, template, &mut place).await;
        columns.push(figures.with_context(|| format!("the template {}", template.name))?);
        if !place.calls {
            notes.push(format!(
                "{}: kwok plays the kubelet. No Pod runs, so its call is missing, and so are the requests and Events \
                 of a kubelet. The controllers are kube-controller-manager and kube-scheduler.\n",
                template.name
            ));
        }
    }
    let names: Vec<&str> = templates.iter().map(|template| template.name.as_str()).collect();
    writeln!(
        std::io::stdout(),
        "--objects {} --concurrency {}; load average {before:.1} → {:.1}\n{}\n{}",
        args.objects,
        args.concurrency,
        load()?,
        render(&names, &columns).join("\n"),
        notes.concat(),
    )?;
    Ok(())
}

impl PeerArgs {
    fn templates(&self) -> Result<Vec<Template>> {
        if self.template.is_empty() {
            let read = |(file, end): &(&str, &str)| Template::read(&workspace().join(file), end.parse()?);
            return SHIPPED.iter().map(read).collect();
        }
        ensure!(self.template.len() == self.end.len(), "each --template needs one --end");
        ensure!(self.template.len() <= COLUMNS, "there can be {COLUMNS} templates");
        self.template.iter().zip(&self.end).map(|(file, end)| Template::read(file, end.clone())).collect()
    }
}

/// What happened to all objects except the first one.
struct Run {
    /// The number of those that reached their end.
    ended: usize,
    /// From the first creation to the last end.
    span: Duration,
    ledger: Ledger,
    before: Reading,
    after: Reading,
}

async fn measure(args: &PeerArgs, template: &Template, place: &mut Place) -> Result<Figures> {
    let last = usize::try_from(args.objects)?;
    let subjects: Vec<Subject> = (0..=last).map(|number| Subject::new(&place.namespace, number)).collect();
    let measured = run(args, template, place, &subjects).await.map(|run| run.figures(args, place));
    let manifests = |subject| template.manifests(subject, &place.namespace, &place.cde).ok();
    place.clean(subjects.iter().filter_map(manifests).flatten()).await?;
    measured
}

async fn run(args: &PeerArgs, template: &Template, place: &mut Place, subjects: &[Subject]) -> Result<Run> {
    let connectors: Vec<_> = subjects.iter().flat_map(Subject::connectors).collect();
    place.cde.put(&connectors).await?;
    place.discover(&template.manifests(&subjects[0], &place.namespace, &place.cde)?).await?;
    let limit = Duration::try_from_secs_f64(60.0 * args.minutes)?;
    let mut watch = Watch::start(place, &template.end)?;
    create(place, template, &subjects[0]).await?;
    watch.until(1, Instant::now() + limit).await?;
    ensure!(watch.ended.len() == 1, "the first object did not reach its end in {limit:?}");
    place.settled().await?;
    let calls_before = Ledger::of(&place.cde).await?.calls.len();
    let before = place.reading().await?;

    let begun = Instant::now();
    let created = stream::iter(&subjects[1..])
        .map(|subject| create(place, template, subject))
        .buffer_unordered(usize::from(args.concurrency))
        .try_collect::<()>();
    let ((), last) = tokio::try_join!(created, watch.until(subjects.len(), begun + limit))?;
    let after = place.settled().await?;
    let mut ledger = Ledger::of(&place.cde).await?;
    ledger.calls.drain(..calls_before);

    let (ended, span) = (watch.ended.len() - 1, last.duration_since(begun));
    Ok(Run { ended, span, ledger, before, after })
}

impl Run {
    fn figures(&self, args: &PeerArgs, place: &Place) -> Figures {
        let Self { ledger, before, after, .. } = self;
        let (all, ended, span) = (f64::from(args.objects), count(self.ended), self.span.as_secs_f64());
        let per_object = |known: bool, number: f64| if known { number / all } else { f64::NAN };
        let mut figures = Figures::default();
        figures.add("objects that reached their end", "", ended);
        figures.add("first creation to last end", "s", span);
        figures.add("throughput", "objects/s", ended / span);
        let effects = count(ledger.calls.iter().filter(|call| call.effect).count());
        figures.add("CDE calls", "1/object", per_object(place.calls, count(ledger.calls.len())));
        figures.add("CDE effects", "1/object", per_object(place.calls, effects));
        let second = if place.calls { count(ledger.second_effects()) } else { f64::NAN };
        figures.add("second effects on a connector", "", second);
        let requests = |word: &str| after.requests.number(word) - before.requests.number(word);
        // The benchmark's own creations are in the metrics of a cluster, but not in the audit log of its own.
        let own =
            |word: &str| if args.kubeconfig.is_some() && word == "create" { place.kinds.len() } else { 0 };
        let requests = |word: &str| requests(word) / all - count(own(word));
        figures.add("API server: all writes", "1/object", {
            Requests::WRITES.into_iter().chain([Requests::EVENTS]).map(requests).sum()
        });
        for word in Requests::WRITES {
            figures.add(format!("API server: {word}, without Events"), "1/object", requests(word));
        }
        figures.add("API server: writes of Events", "1/object", requests(Requests::EVENTS));
        for word in Requests::READS {
            figures.add(format!("API server: {word}"), "1/object", requests(word));
        }
        let known = args.kubeconfig.is_none() || !args.process.is_empty();
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        figures.add("CPU of the controllers", "ms/object", per_object(known, 1000.0 * cpu));
        figures.add(
            "peak memory of the controllers",
            "MB",
            if known { megabytes(after.peak) } else { f64::NAN },
        );
        let servers = after.servers.zip(before.servers).map(|(after, before)| after.saturating_sub(before));
        let servers = servers.map_or(f64::NAN, |cpu| 1000.0 * cpu.as_secs_f64() / all);
        figures.add("CPU of etcd and kube-apiserver", "ms/object", servers);
        figures
    }
}

async fn create(place: &Place, template: &Template, subject: &Subject) -> Result<()> {
    place.create(template.manifests(subject, &place.namespace, &place.cde)?).await
}

/// A watch of all objects of a kind by kubectl, which finds their end.
struct Watch {
    ended: HashSet<String>,
    /// All names contain it.
    namespace: String,
    end: End,
    lines: UnboundedReceiver<String>,
    _kubectl: Process,
}

impl Watch {
    fn start(place: &Place, end: &End) -> Result<Self> {
        let (kind, _) = &place.kinds[0];
        let resource = match kind.group.as_str() {
            "" => kind.plural.clone(),
            group => format!("{}.{}.{group}", kind.plural, kind.version),
        };
        let line = format!("jsonpath={{.metadata.name}}|{}{{\"\\n\"}}", end.path);
        let mut kubectl = place.kubectl();
        kubectl.args(["get", &resource, "--namespace", &place.namespace, "--watch", "--output", &line]);
        let (kubectl, lines) = process::spawn_lines(kubectl)?;
        let (ended, namespace) = (HashSet::new(), place.namespace.clone());
        Ok(Self { ended, namespace, end: end.clone(), lines, _kubectl: kubectl })
    }

    /// Waits until so many objects have reached their end, or until the limit. Returns when the last one did.
    async fn until(&mut self, objects: usize, limit: Instant) -> Result<Instant> {
        let (mut last, mut other) = (Instant::now(), String::new());
        while self.ended.len() < objects {
            let Ok(line) = tokio::time::timeout_at(limit, self.lines.recv()).await else { return Ok(last) };
            let line = line.with_context(|| format!("kubectl get --watch ended: {other}"))?;
            match line.split_once('|') {
                Some((name, found)) if name.contains(&self.namespace) => {
                    if self.end.is(found) && self.ended.insert(name.to_owned()) {
                        last = Instant::now();
                    }
                }
                // An object of others, of a kind without a namespace, or an error.
                _ => other = line,
            }
        }
        Ok(last)
    }
}

fn render(names: &[&str], columns: &[Figures]) -> Vec<String> {
    let row = |start: [&str; 2], cells: Vec<String>| -> [String; 2 + COLUMNS] {
        let mut cells = start.map(str::to_owned).into_iter().chain(cells);
        std::array::from_fn(|_| cells.next().unwrap_or_default())
    };
    let header = row(["MEASUREMENT", "UNIT"], names.iter().map(|name| name.to_uppercase()).collect());
    let rows = columns[0].0.iter().enumerate().map(|(index, figure)| {
        let cell = |column: &Figures| match column.0[index].value {
            value if value.is_nan() => "–".to_owned(),
            value => number(value),
        };
        row([&figure.name, figure.unit], columns.iter().map(cell).collect())
    });
    table::render(header.each_ref().map(String::as_str), rows)
}
