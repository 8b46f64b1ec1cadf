//! What to do about requests that existed before a command created others.

use super::Request;
use super::batch;
use super::create::Created;
use crate::command::note;

/// So many names are written into one line.
const MAX_NAMES: usize = 5;

/// Says which requests existed already, that nothing was changed, and what to do: one line for all in the same state.
pub(crate) fn warn<'a>(created: impl IntoIterator<Item = &'a Created>) {
    let mut states: Vec<Vec<&Request>> = Vec::new();
    for one in created {
        let Created::Existing(request) = one else { continue };
        let state = |request: &Request| (request.reason(), request.is_held());
        match states.iter_mut().find(|members| state(members[0]) == state(request)) {
            Some(members) => members.push(request),
            None => states.push(vec![request]),
        }
    }
    for members in states {
        note(format_args!(
            "warning: {} existed already ({}), and nothing was changed: {}",
            names(&members),
            members[0].reason(),
            advice(&members)
        ));
    }
}

/// Whether an existing request is what was asked for: it has not failed, and it is not held back against the wish.
pub(crate) fn is_as_asked(request: &Request, suspended: bool) -> bool {
    !request.has_failed() && (suspended || !request.is_held())
}

/// Returns what to do about requests in the same state.
fn advice(members: &[&Request]) -> String {
    let first = members[0];
    let target = target(members);
    let them = if members.len() == 1 { "it" } else { "them" };
    if first.is_held() {
        format!("start {them}: kubectl cde resume {target}")
    } else if first.end().is_none() {
        format!("wait for {them}: kubectl cde wait {target}")
    } else if first.has_failed() {
        let namespace = first.namespace();
        format!(
            "look at {them}: kubectl cde describe {first} -n {namespace}; try again: kubectl cde retry {target}"
        )
    } else {
        "for another request, choose --name, or in a list another name".to_owned()
    }
}

/// Returns the names of some requests for a sentence, or their number and the first names.
pub(crate) fn names(requests: &[&Request]) -> String {
    let names = requests.iter().take(MAX_NAMES).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match requests.len() {
        0..=MAX_NAMES => names,
        count => format!("{count} requests ({names}, …)"),
    }
}

/// Returns the arguments of a command for some requests of one namespace.
pub(crate) fn target(requests: &[&Request]) -> String {
    let namespace = requests.first().map(|first| first.namespace()).unwrap_or_default();
    let id = requests.first().and_then(|first| batch::id_of(first));
    let is_batch = requests.len() > 1 && requests.iter().all(|one| batch::id_of(one) == id);
    match (id.filter(|_| is_batch), requests.len()) {
        (Some(id), _) => batch::selection(id, namespace),
        (None, 0..=MAX_NAMES) => {
            let names = requests.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            format!("{names} -n {namespace}")
        }
        (None, _) => format!("NAME… -n {namespace}"),
    }
}
