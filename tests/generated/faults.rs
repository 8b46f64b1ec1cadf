//! The faults that the operator is tested against. A test names them by number in its doc comment.

/// The headings, the number of the first fault under each, and the faults.
pub(crate) const FAULTS: [(&str, usize, &[&str]); 9] = [
    (
        "The process dies or is stopped",
        1,
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
        10,
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
        17,
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
        23,
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
        33,
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
        38,
        &[
            "every spec field set to invalid, smallest and largest values and back",
            "object deleted, suspended and resumed in each phase",
            "ten thousand objects and a restart",
        ],
    ),
    (
        "Reported from the field",
        41,
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
    (
        "Refreshing the login",
        61,
        &[
            "two operators that share a login refresh at the same moment: the refresh token is spent once",
            "SIGKILL between each two of claim, spend, store and use",
            "the response to a refresh is cut, later than the timeout, or a 500 after the rotation",
            "API server down before the claim; after the refresh token was spent",
            "409 on the write of the result, from a label, from an old Secret put back, and from a new login",
            "`invalid_grant`: an administrator has revoked the login",
            "429, 503, HTML or an empty body from the token endpoint",
            "`expires_in` missing, text, zero, negative or huge; no `refresh_token` in the response; no rotation",
            "the old access token ends at the moment of the rotation, with calls under way",
            "a clock an hour ahead or behind, or set by an hour meanwhile",
        ],
    ),
    (
        "Using and protecting the login",
        71,
        &[
            "many 401s at once lead to one refresh",
            "Secret deleted, emptied, immutable, or without the permission to patch it",
            "no token and no code in a log, Event, status, metric or error",
            "a redirect with a forged `state`, another `iss`, or `error=access_denied`; a second redirect",
        ],
    ),
];
