//! Makes text from responses and errors safe to show: one short line without the token and without characters that could
//! mislead a terminal.

use crate::text::clean;

use super::Token;
use super::model::Field;

/// The maximum length of a message in characters.
const MAX_CHARS: usize = 512;

/// Returns `text` as one harmless line of at most 512 characters, with the token redacted.
pub(super) fn presentable(text: &str, token: &Token) -> String {
    clean(&token.redact(text), MAX_CHARS)
}

/// Redacts the token in text fields of a response, which may be shown in a status.
pub(super) fn redact<'a>(texts: impl IntoIterator<Item = &'a mut Field<String>>, token: &Token) {
    for field in texts {
        if let Field::Value(text) = field
            && token.is_in(text)
        {
            *text = token.redact(text);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        presentable(text, &Token::fixed("canary-token"))
    }

    #[test]
    fn a_message_is_one_harmless_line() {
        assert_eq!(shown("Connector not found."), "Connector not found.");
        assert_eq!(shown("a\nb\tc\0d\u{1b}[31me\u{85}f"), "a b c d [31me f");
        assert_eq!(shown("a\u{202e}b\u{2066}c\u{200b}d\u{feff}e\u{2028}f"), "a b c d e f");
        assert_eq!(shown("Größe, 例, 👍"), "Größe, 例, 👍");
        assert_eq!(shown("\u{1b}\n"), "");
    }

    #[test]
    fn a_long_message_is_cut_at_512_characters() {
        assert_eq!(shown(&"ü".repeat(512)), "ü".repeat(512));
        assert_eq!(shown(&"ü".repeat(513)), "ü".repeat(511) + "…");
    }

    #[test]
    fn the_token_is_redacted_in_fields_that_have_a_value() {
        let mut fields =
            [Field::Value("a canary-token, a canary-token".to_owned()), Field::Null, Field::Missing];
        redact(&mut fields, &Token::fixed("canary-token"));
        assert_eq!(fields, [Field::Value("a [redacted], a [redacted]".into()), Field::Null, Field::Missing]);
    }

    #[test]
    fn the_token_is_redacted_before_the_message_is_cut() {
        assert_eq!(shown("Bearer canary-token!"), "Bearer [redacted]!");
        let shown = shown(&("x".repeat(507) + "canary-token"));
        assert!(!shown.contains("cana"), "{shown}");
    }
}
