//! Makes external text safe to show: one bounded line without characters that could mislead a terminal.

/// Returns `text` with at most `max` characters, as the API server counts `maxLength`. A cut text ends in `…`.
#[must_use]
pub fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Returns `text` with at most `max` bytes of UTF-8, cut at a character boundary. A cut text ends in `…`.
#[must_use]
pub fn cut_bytes(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// Returns `text` as one line of at most `max` characters. Control and formatting characters, which can reorder the output
/// of a terminal, become spaces.
#[must_use]
pub fn clean(text: &str, max: usize) -> String {
    // Almost always true.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return cut(text.trim(), max);
    }
    let line: String =
        text.chars().map(|c| if c.is_control() || is_formatting(c) { ' ' } else { c }).collect();
    cut(line.trim(), max)
}

/// Returns an error with its causes, in one line.
#[must_use]
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}

/// Whether `c` is a line or paragraph separator or a format character (Unicode category Cf).
fn is_formatting(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
        | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_after_the_maximum_number_of_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }

    #[test]
    fn a_text_cut_by_bytes_ends_at_a_character_boundary() {
        assert_eq!(cut_bytes("ääää", 8), "ääää");
        assert_eq!(cut_bytes("ääää", 7), "ää…");
    }

    #[test]
    fn characters_that_could_mislead_a_terminal_become_spaces() {
        assert_eq!(clean("a\u{1b}[31mb\u{202e}c\n", 80), "a [31mb c");
    }
}
