//! Which requests are meant.

use std::fmt;
use std::sync::Arc;

use http::Method;
use hyper::body::Bytes;
use serde_json::Value;

/// One request as it came to the proxy.
#[derive(Debug, Clone)]
pub struct Call {
    /// The HTTP method.
    pub method: Method,
    /// The path without the query.
    pub path: String,
    /// The query without its question mark; empty if none.
    pub query: String,
    /// The whole body; empty if none.
    pub body: Bytes,
}

impl Call {
    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether the answer is a stream of changes.
    #[must_use]
    pub fn is_watch(&self) -> bool {
        self.query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1"))
    }

    /// Whether a whole list is asked for, in pages or as the first events of a watch.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.method == Method::GET && (!self.is_watch() || self.is_streamed_list())
    }

    /// Whether a whole list is asked for as the first events of a watch.
    #[must_use]
    pub fn is_streamed_list(&self) -> bool {
        self.is_watch() && self.query.split('&').any(|pair| pair == "sendInitialEvents=true")
    }
}

type Condition = Arc<dyn Fn(&Call) -> bool + Send + Sync>;

/// Conditions that a request must all meet, and which of the requests that do are meant: the first one, unless
/// [`Rule::skip`], [`Rule::times`] or [`Rule::always`] say otherwise.
#[derive(Clone)]
pub struct Rule {
    conditions: Vec<Condition>,
    what: String,
    pub(super) skip: usize,
    pub(super) times: usize,
}

impl Rule {
    /// Every request.
    #[must_use]
    pub fn any() -> Self {
        Self { conditions: Vec::new(), what: "any request".to_owned(), skip: 0, times: 1 }
    }

    /// Requests of one method.
    #[must_use]
    pub fn verb(method: Method) -> Self {
        let what = format!("method {method}");
        Self::any().and(what, move |call| call.method == method)
    }

    /// Writes of the status of one object, by whatever method, such as
    /// `Rule::status_write("migrationrollbacks", "back")`.
    #[must_use]
    pub fn status_write(plural: &str, name: &str) -> Self {
        Self::any()
            .and("a write", |call| matches!(call.method, Method::PUT | Method::PATCH))
            .path_ends_with(&format!("/{plural}/{name}/status"))
    }

    /// Watches of a resource, in one namespace or all.
    #[must_use]
    pub fn watch(plural: &str) -> Self {
        Self::any().and("a watch", Call::is_watch).path_ends_with(&format!("/{plural}"))
    }

    /// And the path (without the query) contains `part`.
    #[must_use]
    pub fn path_contains(self, part: &str) -> Self {
        let part = part.to_owned();
        self.and(format!("path with {part}"), move |call| call.path.contains(&part))
    }

    /// And the path (without the query) ends with `end`.
    #[must_use]
    pub fn path_ends_with(self, end: &str) -> Self {
        let end = end.to_owned();
        self.and(format!("path ending with {end}"), move |call| call.path.ends_with(&end))
    }

    /// And `condition` holds; `what` names it in errors.
    #[must_use]
    pub fn and(
        mut self,
        what: impl Into<String>,
        condition: impl Fn(&Call) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.what =
            if self.conditions.is_empty() { what.into() } else { format!("{}, {}", self.what, what.into()) };
        self.conditions.push(Arc::new(condition));
        self
    }

    /// Not the first `n` that match.
    #[must_use]
    pub fn skip(mut self, n: usize) -> Self {
        self.skip = n;
        self
    }

    /// `n` requests in all, after those skipped.
    #[must_use]
    pub fn times(mut self, n: usize) -> Self {
        self.times = n;
        self
    }

    /// All that match, after those skipped.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    /// Whether `call` meets the conditions, however often that happened before.
    #[must_use]
    pub fn matches(&self, call: &Call) -> bool {
        self.conditions.iter().all(|condition| condition(call))
    }

    /// Counts a match, and tells whether it is one of those that are meant.
    pub(super) fn take(&mut self, call: &Call) -> bool {
        if self.times == 0 || !self.matches(call) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times = self.times.saturating_sub(usize::from(self.times != usize::MAX));
        true
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({}, skip {}, times {})", self.what, self.skip, self.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: Method, path: &str, query: &str) -> Call {
        Call {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            body: Bytes::from_static(br#"{"a":{"b":1}}"#),
        }
    }

    #[test]
    fn a_rule_matches_when_all_its_conditions_hold() {
        let put = call(Method::PUT, "/apis/g/v1/namespaces/ns/things/one/status", "");
        let watch = call(Method::GET, "/apis/g/v1/things", "limit=5&watch=true");
        assert!(Rule::status_write("things", "one").matches(&put));
        assert!(!Rule::status_write("things", "on").matches(&put));
        assert!(!Rule::status_write("things", "one").matches(&call(Method::GET, &put.path, "")));
        assert!(
            Rule::watch("things").matches(&watch)
                && !Rule::watch("things").matches(&call(Method::GET, &watch.path, ""))
        );
        assert!(
            Rule::verb(Method::PUT)
                .path_contains("/things/")
                .and("b", |c| c.json()["a"]["b"] == 1)
                .matches(&put)
        );
        assert!(!Rule::verb(Method::PUT).and("c", |c| !c.json()["c"].is_null()).matches(&put));
    }

    #[test]
    fn skips_and_times_are_counted_over_matches_alone() {
        let (get, put) = (call(Method::GET, "/x", ""), call(Method::PUT, "/x", ""));
        let mut rule = Rule::verb(Method::PUT).skip(1).times(2);
        let taken = [&put, &get, &put, &put, &put].map(|call| rule.take(call));
        assert_eq!(taken, [false, false, true, true, false]);
        let mut always = Rule::any().always();
        assert!((0..100).all(|_| always.take(&get)));
    }

    #[test]
    fn a_rule_says_what_it_waits_for() {
        assert_eq!(Rule::any().to_string(), "any request");
        assert_eq!(
            Rule::verb(Method::POST).path_contains("/events").to_string(),
            "method POST, path with /events"
        );
    }
}
