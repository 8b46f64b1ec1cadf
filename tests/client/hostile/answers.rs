//! Responses of any shape, over a real socket, to the real client: it classifies them as documented, in time, and
//! shows no secret.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use cde_operator::cde::model::{Answer, Call, CallId, Connector, Failure, FailureKind};
use cde_operator::cde::{BaseUrl, Client, ClientConfig, Token, TokenFile};
use cde_operator::operation::{Class, Effect, classify, classify_read};
use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::hostile::cases;
use crate::hostile::draw::{CONNECTOR, TOKEN, body, code, headers};
use crate::hostile::reference::{Meaning, asked_for, meanings};
use crate::hostile::server::Server;

/// Far more than any response here takes.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A server, and a client that calls it.
struct Harness {
    runtime: Runtime,
    server: Server,
    client: Client,
    token: Token,
}

/// The results of one call of each kind.
struct Results {
    restore: Result<Answer, Failure>,
    rollback: Result<Answer, Failure>,
    read: Result<Connector, Failure>,
}

pub(crate) fn client(url: &str, timeout: Duration) -> Client {
    // An error only means that another test has installed a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let base = BaseUrl::parse(url, false).unwrap();
    Client::new(&ClientConfig { base, timeout, ca_file: None, user_agent: "hostile".into() }).unwrap()
}

pub(crate) fn token() -> Token {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), TOKEN).unwrap();
    TokenFile::open(file.path()).unwrap().current()
}

pub(crate) fn id() -> CallId {
    CallId { operation: "0d9f6a2e-8a37-4a35-9c6c-2f6a6d1c3b11".into(), attempt: 1 }
}

fn restore() -> Call {
    Call::RestoreFromBin { connector: CONNECTOR.into() }
}

fn rollback() -> Call {
    Call::RollBackMigration { connector: CONNECTOR.into(), version: "main".into() }
}

impl Harness {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let server = runtime.block_on(Server::start());
        let client = client(&server.url, TIMEOUT);
        Self { runtime, server, client, token: token() }
    }

    /// Makes each kind of call, and answers it with these bytes.
    fn answered(&self, bytes: Vec<u8>) -> Results {
        self.server.answers(bytes);
        let begun = Instant::now();
        let heard = self.runtime.block_on(async {
            Results {
                restore: self.client.send(&restore(), &id(), &self.token).await,
                rollback: self.client.send(&rollback(), &id(), &self.token).await,
                read: self.client.connector(CONNECTOR, &id(), &self.token).await.map(|answer| answer.data),
            }
        });
        assert!(begun.elapsed() < TIMEOUT, "it took {:?}", begun.elapsed());
        heard.assert_presentable();
        heard
    }
}

impl Results {
    fn failures(&self) -> impl Iterator<Item = &Failure> {
        [self.restore.as_ref().err(), self.rollback.as_ref().err(), self.read.as_ref().err()]
            .into_iter()
            .flatten()
    }

    fn assert_presentable(&self) {
        for failure in self.failures() {
            assert!(failure.message.chars().count() <= 512, "{failure:?}");
            assert!(!failure.message.chars().any(char::is_control), "{failure:?}");
            assert!(!failure.message.is_empty(), "{failure:?}");
        }
        let shown = format!("{:?} {:?} {:?}", self.restore, self.rollback, self.read);
        assert!(!shown.contains(TOKEN), "{shown}");
    }
}

/// Returns how the operator classifies a response to a changing call. `confirmed`: earlier refusals confirm it.
fn meaning_of(answer: &Result<Answer, Failure>, confirmed: bool) -> Meaning {
    match answer {
        Ok(_) => Meaning::Done,
        Err(failure) => match classify(failure, confirmed) {
            Class::Transient(Effect::Unknown { .. }) => Meaning::Open,
            Class::Transient(Effect::None) => Meaning::NotYet,
            Class::TokenRejected => Meaning::Token,
            Class::Terminal(_) => Meaning::Refused,
        },
    }
}

/// Returns the bytes of a response, complete as HTTP.
fn bytes(code: u16, headers: &[(String, Vec<u8>)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {code} Whatever\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    // A response with one of these codes never has a body.
    let body = if matches!(code, 204 | 304) { b"" } else { body };
    bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
    bytes.extend(body);
    bytes
}

/// Fault 25: all rows of the documented table, with any status, headers and body.
#[test]
fn a_response_of_any_shape_is_classified_as_documented() {
    let line = Harness::new();
    proptest!(cases(700), |(code in code(), headers in headers(), body in body())| {
        let heard = line.answered(bytes(code, &headers, &body));
        let sent: &[u8] = if matches!(code, 204 | 304) { b"" } else { &body };
        for confirmed in [false, true] {
            let expected = meanings(code, sent, confirmed);
            for answer in [&heard.restore, &heard.rollback] {
                let taken = meaning_of(answer, confirmed);
                prop_assert!(expected.contains(&taken), "{answer:?} is {taken:?}, not one of {expected:?}");
            }
        }
        if let Err(failure) = &heard.read {
            let open = matches!(classify_read(failure, true), Class::Transient(Effect::Unknown { .. }));
            prop_assert!(!open, "a read has no effect");
        }
        let (asked, now) = (asked_for(&headers), Timestamp::now());
        for failure in heard.failures() {
            let at = failure.retry_at.unwrap_or(now);
            prop_assert!(at.duration_since(now) <= SignedDuration::from_hours(24), "{failure:?}");
            if let Some(asked) = asked {
                prop_assert!(at.duration_since(asked).abs() <= SignedDuration::from_secs(3), "{failure:?}");
            }
        }
    });
}

/// Faults 23 and 25: bytes that are almost HTTP, or not at all. They come after the request has gone out.
#[test]
fn bytes_that_are_not_http_leave_the_effect_of_the_call_unknown() {
    let line = Harness::new();
    let lines = select(vec![
        "HTTP/1.1 200 OK",
        "HTTP/1.1 404",
        "HTTP/1.1 99 Low",
        "HTTP/1.1 1000 High",
        "HTTP/9.9 200 OK",
        "HTTP/1.1 2e2 OK",
        "HTTP/1.1 -200 OK",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 100 Continue",
        "HTTP/1.1 101 Switching",
        "ICY 200 OK",
        "SSH-2.0-OpenSSH",
        "GET / HTTP/1.1",
        "",
        "\0\0",
        "HTTP/1.1  200",
        "PRI * HTTP/2.0",
        "\u{16}\u{3}\u{1}",
    ]);
    let headers = select(vec![
        "content-length: -1",
        "content-length: 18446744073709551616",
        "content-length: 9999999",
        "content-length: 1, 2",
        "content-length: 0",
        "transfer-encoding: chunked",
        "transfer-encoding: gzip, chunked",
        "connection: close",
        "content-encoding: br",
        "x",
        ": x",
        "x : y",
        " x: y",
        "x: \0",
        "connection: upgrade",
        "trailer: x",
    ]);
    let ends = select(vec!["\r\n\r\n", "\n\n", "\r\n", "\r\r", ""]);
    let chunk = select(vec![
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "ffffffffffffffffff\r\n",
        "-1\r\n",
        "5;x=y\r\nhel",
        "g\r\n",
        "0\r\nx: y\r\n\r\n",
        "{\"data\":{}}",
        "{\"message\":\"No.\"}",
        "\r\n\r\n",
    ]);
    let raw = (lines, vec(headers, 0..4), ends, vec(chunk, 0..4), vec(any::<u8>(), 0..40), any::<bool>());
    proptest!(cases(500), |((line_, headers, end, chunks, rubbish, twice) in raw)| {
        let mut text = line_.to_owned();
        for header in headers {
            write!(text, "\r\n{header}").unwrap();
        }
        text.push_str(end);
        text.extend(chunks);
        let mut bytes = text.into_bytes();
        bytes.extend(rubbish);
        if twice {
            bytes.extend(bytes.clone());
        }
        let heard = line.answered(bytes);
        for answer in [&heard.restore, &heard.rollback] {
            if let Err(failure) = answer {
                prop_assert_ne!(failure.kind, FailureKind::NotSent, "it was sent: {:?}", failure);
                let none = meaning_of(answer, true) != Meaning::Open;
                let refused = failure.code().is_some_and(|code| (400..500).contains(&code));
                prop_assert!(!none || refused, "{failure:?}");
            }
        }
    });
}

/// A server that repeats what it received, in every text that the client reads.
#[test]
fn a_success_that_contains_the_token_is_accepted_without_it() {
    let line = Harness::new();
    let echo = format!("Bearer {TOKEN}");
    let version = json!({"version": echo, "state": echo, "deleted-at": echo});
    let mut data = json!({"id": echo, "type": echo, "name": echo, "flow": echo, "owner": echo,
        "integrator": echo, "versions": [version]});
    data.as_object_mut().unwrap().extend(version.as_object().unwrap().clone());
    let heard = line.answered(bytes(200, &[], json!({"data": data}).to_string().as_bytes()));
    let shown =
        format!("{:?} {:?} {:?}", heard.restore.unwrap(), heard.rollback.unwrap(), heard.read.unwrap());
    assert_eq!(shown.matches("Bearer [redacted]").count(), 9 + 3 + 9, "{shown}");
}
