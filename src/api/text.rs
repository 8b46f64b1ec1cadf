//! Text of others, made fit for a status: bounded, and without characters that could mislead a terminal.

/// `text` cut to at most `max` characters, as the API server counts `maxLength`; a cut one ends in `…`.
#[must_use]
pub fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// `text` cut to at most `max` bytes of UTF-8, at a character; a cut one ends in `…`.
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

/// `text` without control and bidirectional formatting characters (each becomes a space), cut to `max`.
#[must_use]
pub fn clean(text: &str, max: usize) -> String {
    let printable: String = text.chars().map(|c| if misleads(c) { ' ' } else { c }).collect();
    cut(printable.trim(), max)
}

fn misleads(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_at_its_bound_stays_whole_and_one_beyond_it_is_cut_by_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }

    #[test]
    fn a_text_that_is_cut_by_bytes_ends_at_a_character() {
        assert_eq!(cut_bytes("ääää", 8), "ääää");
        assert_eq!(cut_bytes("ääää", 7), "ää…");
    }

    #[test]
    fn characters_that_could_mislead_a_terminal_become_spaces() {
        assert_eq!(clean("a\u{1b}[31mb\u{202e}c\n", 80), "a [31mb c");
    }
}
