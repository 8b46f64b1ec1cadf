//! Which requests a fault applies to.

use std::fmt;
use std::sync::Arc;

use http::Method;
use hyper::body::Bytes;
use serde_json::Value;
use url::form_urlencoded;

/// One request as it reached the proxy.
#[derive(Debug, Clone)]
pub struct Call {
    /// The HTTP method.
    pub method: Method,
    /// The path without the query.
    pub path: String,
    /// The query without its question mark; empty if none.
    pub query: String,
    /// The whole body; empty if there is none.
    pub body: Bytes,
}

impl Call {
    /// Returns the body as JSON, or null if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns a field of the body if the body is a form.
    #[must_use]
    pub fn form_field(&self, name: &str) -> Option<String> {
        let mut fields = form_urlencoded::parse(&self.body);
        fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// Returns whether the response is a stream of changes.
    #[must_use]
    pub fn is_watch(&self) -> bool {
        self.query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1"))
    }

    /// Returns whether the request asks for a whole list, in pages or as the first events of a watch.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.method == Method::GET && (!self.is_watch() || self.is_streamed_list())
    }

    /// Returns whether the request asks for a whole list as the first events of a watch.
    #[must_use]
    pub fn is_streamed_list(&self) -> bool {
        self.is_watch() && self.query.split('&').any(|pair| pair == "sendInitialEvents=true")
    }
}

type Condition = Arc<dyn Fn(&Call) -> bool + Send + Sync>;

/// Conditions that a request must all meet, and which of the matching requests the rule selects: the first one, unless
/// [`Rule::skip`], [`Rule::times`] or [`Rule::always`] say otherwise.
#[derive(Clone)]
pub struct Rule {
    conditions: Vec<Condition>,
    what: String,
    pub(super) skip: usize,
    pub(super) times: usize,
}

impl Rule {
    /// Matches every request.
    #[must_use]
    pub fn any() -> Self {
        Self { conditions: Vec::new(), what: "any request".to_owned(), skip: 0, times: 1 }
    }

    /// Matches requests of one method.
    #[must_use]
    pub fn verb(method: Method) -> Self {
        let what = format!("method {method}");
        Self::any().and(what, move |call| call.method == method)
    }

    /// Matches writes of the status of one object with any method, such as `Rule::status_write("migrationrollbacks",
    /// "back")`.
    #[must_use]
    pub fn status_write(plural: &str, name: &str) -> Self {
        Self::any()
            .and("a write", |call| matches!(call.method, Method::PUT | Method::PATCH))
            .path_ends_with(&format!("/{plural}/{name}/status"))
    }

    /// Matches watches of a resource, in one namespace or in all.
    #[must_use]
    pub fn watch(plural: &str) -> Self {
        Self::any().and("a watch", Call::is_watch).path_ends_with(&format!("/{plural}"))
    }

    /// Matches refreshes at an OAuth 2.0 token endpoint, and not the exchange of a code.
    #[must_use]
    pub fn refresh() -> Self {
        Self::any().and("a refresh", |call| {
            call.form_field("grant_type").is_some_and(|grant_type| grant_type == "refresh_token")
        })
    }

    /// Adds the condition that the path (without the query) contains `part`.
    #[must_use]
    pub fn path_contains(self, part: &str) -> Self {
        let part = part.to_owned();
        self.and(format!("path with {part}"), move |call| call.path.contains(&part))
    }

    /// Adds the condition that the path (without the query) ends with `end`.
    #[must_use]
    pub fn path_ends_with(self, end: &str) -> Self {
        let end = end.to_owned();
        self.and(format!("path ending with {end}"), move |call| call.path.ends_with(&end))
    }

    /// Adds a condition. `what` names it in errors.
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

    /// Skips the first `n` matches.
    #[must_use]
    pub fn skip(mut self, n: usize) -> Self {
        self.skip = n;
        self
    }

    /// Selects `n` matches after the skipped ones.
    #[must_use]
    pub fn times(mut self, n: usize) -> Self {
        self.times = n;
        self
    }

    /// Selects all matches after the skipped ones.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    /// Returns whether `call` meets the conditions, regardless of the counts.
    #[must_use]
    pub fn matches(&self, call: &Call) -> bool {
        self.conditions.iter().all(|condition| condition(call))
    }

    /// Counts a match, and returns whether the rule selects it.
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
    fn skip_and_times_count_only_matches() {
        let (get, put) = (call(Method::GET, "/x", ""), call(Method::PUT, "/x", ""));
        let mut rule = Rule::verb(Method::PUT).skip(1).times(2);
        let taken = [&put, &get, &put, &put, &put].map(|call| rule.take(call));
        assert_eq!(taken, [false, false, true, true, false]);
        let mut always = Rule::any().always();
        assert!((0..100).all(|_| always.take(&get)));
    }

    #[test]
    fn a_rule_describes_the_requests_that_it_matches() {
        assert_eq!(Rule::any().to_string(), "any request");
        assert_eq!(
            Rule::verb(Method::POST).path_contains("/events").to_string(),
            "method POST, path with /events"
        );
    }
}
