//! The report of a run: a summary of a successful one, and all about the objects concerned of a failed one.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::random::evidence::{Evidence, History};
use crate::random::oracle::{Violation, costs};
use crate::random::run::Run;
use cde_harness::Object;

/// How many objects are reported in full.
const IN_FULL: usize = 3;

/// Returns the summary, in a few lines.
pub(crate) fn summary(run: &Run) -> String {
    let Evidence { ledger, histories, processes, .. } = &run.evidence;
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for history in histories {
        *reasons.entry(if history.deleted { "(deleted)" } else { history.last().reason() }).or_default() += 1;
    }
    format!(
        "{} acts, {} operators in {} processes; {} objects, {} versions; {} calls, {} effects; all had ended {:.1} s \
         after the last fault\n{reasons:?}\nclosest to what it may cost: {}",
        run.script.acts.len(),
        run.script.operators,
        processes.len(),
        histories.len(),
        histories.iter().map(|history| history.versions.len()).sum::<usize>(),
        ledger.len(),
        run.evidence.changing().filter(|call| call.effect).count(),
        run.ended_after.as_secs_f64(),
        closest(&run.evidence),
    )
}

/// Returns the cost of each sort that is closest to its limit.
fn closest(evidence: &Evidence) -> String {
    let mut closest: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for cost in costs(evidence) {
        let one = closest.entry(cost.what).or_insert((cost.was, cost.most));
        if cost.was * one.1 > one.0 * cost.most {
            *one = (cost.was, cost.most);
        }
    }
    let told: Vec<String> =
        closest.iter().map(|(what, (was, most))| format!("{was} of {most} {what}")).collect();
    told.join(", ")
}

/// Returns everything about the violations, and how to run the script again.
pub(crate) fn failure(run: &Run, violations: &[Violation]) -> String {
    let mut text = String::new();
    for Violation { rule, what, .. } in violations {
        let _ = writeln!(text, "\n== {rule}: {what}");
    }
    let mut objects: Vec<&String> = violations.iter().filter_map(|one| one.object.as_ref()).collect();
    objects.dedup();
    for uid in objects.into_iter().take(IN_FULL) {
        let concerned = run.evidence.histories.iter().filter(|history| history.uid == *uid);
        concerned.for_each(|history| tell(&mut text, run, history));
    }
    let (seed, seconds) = (run.script.seed, run.script.length.as_secs());
    let _ = write!(
        text,
        "\n{} violations. To play the same script again:\n\
         CDE_SEED={seed} CDE_RANDOM_SECONDS={seconds} cargo test --test load random:: -- --nocapture",
        violations.len()
    );
    text
}

fn tell(text: &mut String, run: &Run, history: &History) {
    let (name, connector) = (history.name(), history.connector());
    let _ = writeln!(text, "\n---- {:?} {name}, uid {}, as it was stored:", history.kind, history.uid);
    for version in &history.versions {
        line(text, version);
    }
    let _ = writeln!(text, "\n---- calls for connector {connector}:");
    if let Some(connector) = run.evidence.connectors.get(&connector) {
        let _ = writeln!(text, "{}", serde_json::to_string(connector).unwrap_or_default());
    }
    for call in run.evidence.ledger.iter().filter(|call| call.connector == Some(connector)) {
        let carried_out = call.carried_out.map(|at| format!(" carried out {at:.3}")).unwrap_or_default();
        let _ = writeln!(text, "{call}{carried_out}{}", if call.struck { " (fault)" } else { "" });
    }
    let _ = writeln!(text, "\n---- acts:");
    for timed in run.script.about(name, connector) {
        let _ = writeln!(text, "{timed}");
    }
    let _ = writeln!(text, "\n---- logs:");
    let mut lines: Vec<String> = Vec::new();
    for process in &run.evidence.processes {
        let freezes = process
            .freezes
            .iter()
            .map(|it| format!("{} {} was frozen until {} ({:?})", it.from, process.pod, it.to, it.unheard));
        lines.extend(freezes);
        let object = format!("/{name}\"");
        let about = process.log.lines().filter(|line| line.contains(&object));
        lines.extend(about.map(|line| format!("{} {line}", process.pod)));
    }
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
}

fn line(text: &mut String, version: &Object) {
    let meta = version.metadata();
    let mut operation = version.operation().clone();
    if let Some(message) = operation.pointer_mut("/lastError/message") {
        *message = message.as_str().unwrap_or_default().chars().take(60).collect::<String>().into();
    }
    let _ = writeln!(
        text,
        "{:>7} generation {} {} {} {} {}",
        version.resource_version(),
        meta["generation"],
        version.reason(),
        version.0["spec"],
        meta["annotations"],
        operation
    );
}
