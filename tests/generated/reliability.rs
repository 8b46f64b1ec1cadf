//! The table of faults in `docs/reliability.md` is generated from the doc comments of the tests, and each fault has a
//! test.
//!
//! `UPDATE_DOCS=1 cargo test --test generated reliability::` writes the table.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::protocol_mutations::mutations;

const DOCUMENT: &str = "docs/reliability.md";
const BEGIN: &str = "<!-- faults: made by tests/generated/reliability.rs -->\n";
const END: &str = "<!-- end of faults -->\n";

/// The faults by number, under their headings.
const FAULTS: [(&str, &[&str]); 7] = [
    (
        "The process dies or is stopped",
        &[
            "before the claim",
            "claim sent, no reply",
            "claim stored, call not sent",
            "call sent, no reply",
            "reply received, outcome not written",
            "outcome sent, no reply",
            "outcome stored, Event not written",
            "SIGTERM during the call",
            "SIGKILL during the call, restarted under another name or its own",
        ],
    ),
    (
        "Outdated or missing observations",
        &[
            "the cache lacks its own last write",
            "the watch serves old events after a reconnect",
            "object deleted and recreated under the same name, unseen",
            "410 Gone and a new list during an operation",
            "spec or annotation changed and changed back between two reads",
            "object created and deleted unseen",
            "token file replaced unseen",
        ],
    ),
    (
        "The API server",
        &[
            "409 on the claim, from another writer",
            "504 on a write that was stored, then 409 on its retry",
            "429, 503, 504 with every form of `Retry-After`",
            "half-open connection, on a write and on a watch",
            "status write forbidden (permissions lost)",
            "API server down, etcd down",
        ],
    ),
    (
        "The CDE API",
        &[
            "connection cut before the headers, after them, within the body",
            "timeout with and without the effect",
            "200 with an empty, wrong, HTML or huge body",
            "400 with `errors` as list, object, absent",
            "token expires during an operation; 403; 404 after a success",
            "429 with every form of `Retry-After`; 408, 425, 500, 502, 503, 504, 520",
            "redirect to another host",
            "one byte per second",
            "TLS and DNS failure",
            "long outage with a thousand objects waiting",
        ],
    ),
    (
        "Several operators or objects",
        &[
            "two operators that both act as the leader",
            "two objects for one connector",
            "rolling update with overlap",
            "clock steps forward and back by an hour; two operators an hour apart",
            "operator frozen past its claim and its Lease, then continued",
        ],
    ),
    (
        "Input",
        &[
            "every spec field set to invalid, smallest and largest values and back",
            "object deleted, suspended and resumed in each phase",
            "ten thousand objects and a restart",
        ],
    ),
    (
        "Reported from the field",
        &[
            "one of several watched namespaces cannot be listed, from the start or once its Role is deleted: the \
             others continue, and it is named",
            "status writes are refused in one namespace while its outcomes wait to be stored: the other namespaces \
             continue",
            "a gateway answers 403 or 404 in JSON with its own message for a minute: no request ends",
            "a streaming initial list never ends: a paged list replaces it",
            "the same namespaces in another order, with blanks, or twice: one Lease",
            "a low `--rate`, and a connector that changes between its read and its call: the read is newer than \
             the permits of both",
            "a deleted request that another controller's finalizer keeps, whose attempt had no effect: the next \
             request for the connector continues",
            "many requests for one connector: status writes grow linearly",
            "the reply to a claim is lost, and the object cannot be read for a while: no attempt counts as unknown",
            "a retry annotation an hour ahead, then a current one: an Event rejects the first, and the second counts",
            "a stored `connectorID` that is not a UUID: it is part of no path",
            "a request ends without a call, and the reply to that write is lost: one Event, counted once",
            "status writes take longer than the margin of a claim: claims wait for a backoff",
            "a proxy in front of the API server sends JSON keys in another order: every object is decoded",
            "a cluster with IPv6 only, with the chart and with kustomize: `CDE_LISTEN` sets the listen address",
            "an invalid label selector: exit code 2",
            "a version of the connector that is not a semantic version: a rollback of another major number continues",
        ],
    ),
];

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A test, and the numbers of the faults in its doc comment.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) program: String,
    pub(crate) name: String,
    pub(crate) faults: Vec<usize>,
}

/// Returns all files with this extension below a directory, in order of their names.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            all.push(path);
        }
    }
    all.sort();
    all
}

pub(crate) fn tests() -> Vec<Test> {
    let folder = root().join("tests");
    files(&folder, "rs").iter().flat_map(|file| tests_in(&folder, file)).collect()
}

/// Returns the tests of a file: `PROGRAM/MODULE.rs`, or `PROGRAM.rs`.
fn tests_in(folder: &Path, file: &Path) -> Vec<Test> {
    let path = file.strip_prefix(folder).unwrap().with_extension("");
    let mut parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap()).collect();
    parts.retain(|part| !matches!(*part, "main" | "mod"));
    let program = parts.remove(0).to_owned();
    let source = fs::read_to_string(file).unwrap();
    let (mut all, mut faults, mut is_test) = (Vec::new(), Vec::new(), false);
    for line in source.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("/// ") {
            faults.extend(numbers(doc));
        } else if line.starts_with("#[tokio::test") || line == "#[test]" {
            is_test = true;
        } else if let Some(name) = line.strip_prefix("async fn ").or(line.strip_prefix("fn ")) {
            let name = name.split('(').next().unwrap();
            if std::mem::take(&mut is_test) {
                let name = [&parts[..], &[name]].concat().join("::");
                all.push(Test { program: program.clone(), name, faults: std::mem::take(&mut faults) });
            }
            faults.clear();
        } else if !line.starts_with("#[") {
            faults.clear();
        }
    }
    all
}

/// Returns the numbers in `Fault 2.`, `Faults 2 and 3: …`, `Fault 9, and fault 4 with a slow server: …`.
fn numbers(doc: &str) -> Vec<usize> {
    if !doc.starts_with("Fault") {
        return Vec::new();
    }
    let head = doc.split([':', '.']).next().unwrap_or_default();
    head.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

fn table() -> String {
    let (tests, mutations) = (tests(), mutations());
    let mut table = String::new();
    let mut number = 0;
    for (theme, faults) in FAULTS {
        writeln!(table, "\n### {theme}\n\n| # | Fault | Test | Protocol mutations |\n|---|---|---|---|")
            .unwrap();
        for fault in faults {
            number += 1;
            let shown: Vec<String> = tests
                .iter()
                .filter(|test| test.faults.contains(&number))
                .map(|test| format!("`cargo test --test {} -- --exact {}`", test.program, test.name))
                .collect();
            let broken: Vec<String> = mutations
                .iter()
                .filter(|mutation| mutation.faults.contains(&number))
                .map(|mutation| format!("[{0}](../tests/protocol_mutations/{0}.patch)", mutation.name))
                .collect();
            let (shown, broken) = (shown.join("<br>"), broken.join("<br>"));
            writeln!(table, "| {number} | {fault} | {shown} | {broken} |").unwrap();
        }
    }
    table.push('\n');
    table
}

#[test]
fn the_table_of_faults_is_up_to_date() {
    let path = root().join(DOCUMENT);
    let document = fs::read_to_string(&path).expect("the document");
    let (head, rest) = document.split_once(BEGIN).expect("where the table begins");
    let (found, tail) = rest.split_once(END).expect("where the table ends");
    let table = table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
        return;
    }
    assert!(found == table, "{DOCUMENT} is old: run UPDATE_DOCS=1 cargo test --test generated reliability::");
}

#[test]
fn each_fault_has_a_test() {
    let tests = tests();
    let last = FAULTS.iter().map(|(_, faults)| faults.len()).sum();
    for fault in 1..=last {
        assert!(tests.iter().any(|test| test.faults.contains(&fault)), "fault {fault} has no test");
    }
}
