//! Checks label selectors at startup, because the API server would reject every watch with an invalid one.

/// Checks a label selector: comma-separated requirements `key`, `!key`, `key=value`, `key==value`, `key!=value`,
/// `key in (a,b)` and `key notin (a,b)`.
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn check(text: &str) -> Result<(), String> {
    requirements(text).into_iter().try_for_each(requirement).map_err(|why| {
        format!(
            "--selector {text:?} is not a label selector: {why}; write for example team=feeds,tier in (a,b)"
        )
    })
}

/// Splits at the commas outside parentheses.
fn requirements(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(move |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    })
    .map(str::trim)
    .collect()
}

fn requirement(text: &str) -> Result<(), String> {
    if let Some(name) = text.strip_prefix('!') {
        return key(name.trim());
    }
    if let Some((left, set)) = text.split_once('(') {
        let values = set.strip_suffix(')').ok_or("a parenthesis is not closed")?;
        let (name, operator) =
            left.trim().rsplit_once(char::is_whitespace).ok_or("an operator is missing")?;
        if !matches!(operator, "in" | "notin") {
            return Err(format!("{operator:?} is not an operator"));
        }
        key(name.trim())?;
        return values.split(',').map(str::trim).try_for_each(value);
    }
    match ["!=", "==", "="].into_iter().find_map(|operator| text.split_once(operator)) {
        Some((name, wanted)) => key(name.trim()).and_then(|()| value(wanted.trim())),
        None => key(text),
    }
}

/// A qualified name: an optional DNS prefix and a slash, then a name of at most 63 characters.
fn key(text: &str) -> Result<(), String> {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let good = is_name(name)
        && prefix.is_none_or(|prefix| {
            prefix.len() <= 253
                && prefix.split('.').all(|label| {
                    is_name(label) && !label.contains(|c: char| c == '_' || c.is_ascii_uppercase())
                })
        });
    if good { Ok(()) } else { Err(format!("{text:?} is not a label name")) }
}

fn value(text: &str) -> Result<(), String> {
    if text.is_empty() || is_name(text) { Ok(()) } else { Err(format!("{text:?} is not a label value")) }
}

/// At most 63 letters, digits, `-`, `_` and `.`, that starts and ends with a letter or a digit.
fn is_name(text: &str) -> bool {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && is_end(text.chars().next())
        && is_end(text.chars().next_back())
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_label_selector_is_accepted() {
        for text in [
            "a",
            "!a",
            "a=b",
            "a==b",
            "a!=b",
            "a=",
            "a in (b)",
            "a notin (b, c)",
            "example.com/team=feeds",
            "a=b,!c , d in (e,f),g",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn an_invalid_selector_is_rejected_with_the_cause() {
        for (text, why) in [
            ("", "label name"),
            ("a,", "label name"),
            ("a=b=c", "label value"),
            ("a b", "label name"),
            ("a in b", "label name"),
            ("a in (b", "parenthesis"),
            ("a within (b)", "operator"),
            ("-a=b", "label name"),
            ("a=b!", "label value"),
            ("Example.com/a", "label name"),
            ("a/b/c", "label name"),
        ] {
            let error = check(text).expect_err(text);
            assert!(error.contains(why) && error.contains("--selector"), "{text}: {error}");
        }
    }
}
