//! Generators: values, JSON that is almost right, bytes that are almost JSON, headers, and responses.

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// A token that must not show anywhere.
pub(crate) const TOKEN: &str = "canary-token-5e1f";
pub(crate) const CONNECTOR: &str = "497f6eca-6276-4993-bfeb-53cbbbba6f08";

/// Generates a text that nobody may have thought of.
pub(crate) fn text() -> BoxedStrategy<String> {
    let known = [
        "",
        ".",
        "..",
        ".\t.",
        "\n",
        "../admin",
        "a/b",
        "%2e%2e",
        "https://evil.example/",
        "//evil",
        "\0",
        "\u{1b}[31m",
        "\u{202e}gpj",
        "main",
        "latest",
        "1",
        "-1",
        "01",
        "18446744073709551616",
        "1.0.0",
        "1.0.0-rc.1+x",
        "99999999999999999999.0.0",
        "created",
        "Transition is not allowed, entity is moving.",
        "2026-11-30T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "-000001-01-01T00:00:00Z",
        "2026-01-01T00:00:00.5Z",
        "Succeeded",
        "Failed",
        "Unknown",
        "Retrying",
        "TokenRejected",
        CONNECTOR,
        TOKEN,
    ];
    let long = (prop_oneof![Just('x'), Just('ü'), Just('\u{0}'), Just('\u{200b}')], 200..3000_usize);
    prop_oneof![
        3 => select(known.to_vec()).prop_map(str::to_owned),
        2 => any::<String>(),
        2 => ".{0,8}".prop_map(|some| format!("{some}{TOKEN}{some}")),
        1 => long.prop_map(|(letter, times)| letter.to_string().repeat(times)),
    ]
    .boxed()
}

fn number() -> BoxedStrategy<Value> {
    let numbers = [
        json!(0),
        json!(-1),
        json!(1),
        json!(25),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(u32::MAX),
        json!(1e300),
        json!(-0.0),
        json!(1.5),
        json!(429),
        json!(503),
    ];
    select(numbers.to_vec()).boxed()
}

/// Generates a value of any type.
fn value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number(),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((text(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
    .boxed()
}

/// A change of a member.
#[derive(Clone, Debug)]
enum Change {
    Becomes(Value),
    /// The new value is still a text, or a number.
    Stays(String, Value),
    Goes,
}

/// Generates `template` with some of its members changed or removed.
pub(crate) fn almost(template: Value) -> BoxedStrategy<Value> {
    let change = prop_oneof![
        2 => value().prop_map(Change::Becomes),
        3 => (text(), number()).prop_map(|(text, number)| Change::Stays(text, number)),
        1 => Just(Change::Goes),
    ];
    vec((any::<Index>(), change), 0..5)
        .prop_map(move |changes| {
            let mut json = template.clone();
            for (index, what) in changes {
                let pointers = pointers(&json);
                change_at(&mut json, &pointers[index.index(pointers.len())], what);
            }
            json
        })
        .boxed()
}

/// Returns the pointers of everything in `json`.
fn pointers(json: &Value) -> Vec<String> {
    let members: Vec<(String, &Value)> = match json {
        Value::Object(members) => members.iter().map(|(key, value)| (escape(key), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let below = members.into_iter().flat_map(|(key, value)| {
        pointers(value).into_iter().map(move |pointer| format!("/{key}{pointer}")).collect::<Vec<_>>()
    });
    std::iter::once(String::new()).chain(below).collect()
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn change_at(json: &mut Value, pointer: &str, what: Change) {
    if let Change::Goes = what {
        if let Some((parent, key)) = pointer.rsplit_once('/')
            && let Some(Value::Object(members)) = json.pointer_mut(parent)
        {
            members.remove(&key.replace("~1", "/").replace("~0", "~"));
        }
    } else if let Some(place) = json.pointer_mut(pointer) {
        match (what, &place) {
            (Change::Becomes(value), _) => *place = value,
            (Change::Stays(text, _), Value::String(_)) => *place = text.into(),
            (Change::Stays(_, number), Value::Number(_)) => *place = number,
            _ => {}
        }
    }
}

fn version_body() -> Value {
    json!({
        "version": "1.0.0", "state": "synchronized-to-prod", "deleted-at": null, "readme": "x",
        "config": {"migration": {"legacy-executable": 24}},
        "platform_prod_reference": {"executable": 25, "platform-connector": 5},
        "platform_dev_reference": {"executable": null, "platform-connector": null},
    })
}

fn connector_body() -> Value {
    json!({
        "id": CONNECTOR, "type": "datasource", "name": "OMDb", "flow": "default", "main-version-number": 1,
        "owner": "o", "integrator": "i", "versions": [version_body(), version_body()],
    })
}

/// Generates the bytes of a body: JSON that is right, almost right or broken, or other bytes.
pub(crate) fn body() -> BoxedStrategy<Vec<u8>> {
    let right = prop_oneof![
        3 => Just(json!({"message": "successful operation", "data": version_body()})),
        3 => Just(json!({"message": "successful operation", "data": connector_body()})),
        1 => Just(json!({"message": "Connector not found."})),
        1 => Just(json!({"message": "Transition is not allowed, entity is moving.", "errors": []})),
        1 => Just(json!({"message": "No.", "errors": {"field": "text", "other": ["x"]}})),
    ];
    let json = right.prop_flat_map(almost).prop_map(|json| json.to_string().into_bytes());
    let spoil = (json.clone(), any::<Index>(), any::<u8>(), 0..6_u8, 1..3000_usize);
    prop_oneof![
        5 => json,
        4 => spoil.prop_map(|(bytes, at, byte, how, times)| corrupt(bytes, at, byte, how, times)),
        1 => value().prop_map(|json| json.to_string().into_bytes()),
        1 => vec(any::<u8>(), 0..300),
    ]
    .boxed()
}

/// Returns a text of JSON with one defect.
fn corrupt(mut bytes: Vec<u8>, at: Index, byte: u8, how: u8, times: usize) -> Vec<u8> {
    let at = at.index(bytes.len());
    let insert = |bytes: &mut Vec<u8>, text: &[u8]| {
        bytes.splice(at..at, text.iter().copied());
    };
    match how {
        0 => bytes.truncate(at),
        1 => bytes[at] = byte,
        2 => insert(&mut bytes, &b"[".repeat(times)),
        3 => insert(&mut bytes, b"\"data\":{\"state\":7},\"message\":9,"),
        4 => insert(&mut bytes, b"123456789012345678901234567890e999"),
        _ => insert(&mut bytes, b"\xff\xfe\x00"),
    }
    bytes
}

/// Generates header lines, some of which say when to come back.
pub(crate) fn headers() -> BoxedStrategy<Vec<(String, Vec<u8>)>> {
    let asking = select(vec!["Retry-After", "X-RateLimit-Retry-After", "RateLimit-Reset"]);
    let times = prop_oneof![
        select(vec!["0", "-1", "86400", "86401", "18446744073709551616", "soon", " 7 ", "1e3", "0x7"])
            .prop_map(str::to_owned),
        (0..90_000_u64).prop_map(|seconds| seconds.to_string()),
        (-90_000..90_000_i64).prop_map(|off| (jiff::Timestamp::now().as_second() + off).to_string()),
        (-90_000..90_000_i64).prop_map(|off| {
            let then = jiff::Timestamp::now() + SignedDuration::from_secs(off);
            httpdate::fmt_http_date(then.into())
        }),
    ];
    let visible = prop_oneof![times, "[ -~]{0,20}", Just(TOKEN.to_owned())].prop_map(String::into_bytes);
    let opaque = vec(prop_oneof![0x20..0x7f_u8, 0x80..=0xff_u8], 0..20);
    let any_name =
        select(vec!["X-Echo", "Location", "Content-Type", "Set-Cookie", "Content-Encoding", "Link"]);
    let line = prop_oneof![
        3 => (asking, visible),
        1 => (any_name, prop_oneof![opaque, Just(b"gzip".to_vec()), Just(b"https://evil.example/".to_vec())]),
    ];
    vec(line.prop_map(|(name, value)| (name.to_owned(), value)), 0..5).boxed()
}

/// Generates a status that HTTP allows, preferably one with a row of its own.
pub(crate) fn code() -> impl Strategy<Value = u16> {
    let rows = vec![200, 200, 200, 201, 204, 301, 307, 400, 400, 401, 403, 404, 405, 408, 409, 410, 422, 423];
    prop_oneof![3 => select(rows), 1 => select(vec![425, 429, 500, 502, 503, 504, 520]), 1 => 200..=999_u16]
}
