//! Names that the server may fold to other names than the parser does.
//!
//! PostgreSQL folds names without quotes (`downcase_identifier`). In UTF-8, and in
//! all other encodings of several bytes, it folds ASCII letters alone, and so does
//! the guard's parser. In encodings of one byte it asks the database's locale for
//! all other letters: with LATIN5, LATIN3 or WIN1254 `SET_CONFİG` is `set_config`.
//! The guard does not know the database's encoding. It stays sound because
//!
//! 1. *the tree is the same.* Keywords are folded as ASCII in every encoding, and
//!    where strings, quoted names and operators begin and end rests on ASCII alone,
//!    of which no conversion from UTF-8 to a server's encoding makes more. So the
//!    server's tree is the guard's, but for the letters of names;
//! 2. *a name that is looked for is looked for in its folded form*, whether it was
//!    quoted or not. Those names are ASCII; of the letters of such an encoding U+0130
//!    alone becomes one of ASCII (U+212A, the Kelvin sign, is in none of them);
//! 3. *a name that lets something pass is taken as it stands.* It is ASCII, so no
//!    server folds it further: that a function is PostgreSQL's own, that a type is
//!    text, which setting a statement is about. Names that must be known exactly and
//!    may hold any letter are refused when they are not ASCII
//!    ([`NAMES`](super::rules::NAMES)), or are not believed ([`is_certain`]).
//!
//! Literals are not folded, and may hold what they like.

use std::borrow::Cow;

/// `name` as a server that folds by its locale may read it.
pub(super) fn folded(name: &str) -> Cow<'_, str> {
    if name.is_ascii() {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().map(lower).collect())
}

/// Whether every server reads `name` as it stands: nothing of it is folded, and
/// it is too short to be cut off elsewhere in another encoding.
pub(super) fn is_certain(name: &str) -> bool {
    /// NAMEDATALEN less the zero byte and the rest of a character.
    const LONGEST: usize = 60;
    name.is_ascii() || (name.len() < LONGEST && name.chars().all(|c| lower(c) == c))
}

/// One letter for one letter, as in an encoding of one byte.
fn lower(c: char) -> char {
    match c {
        '\0'..='\u{7f}' => c,
        '\u{130}' => 'i',
        c => {
            let mut letters = c.to_lowercase();
            match (letters.next(), letters.next()) {
                (Some(letter), None) => letter,
                _ => c,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_of_encodings_of_one_byte_becomes_ascii() {
        let others = ('\u{80}'..=char::MAX).filter(|c| lower(*c).is_ascii());
        // The Kelvin sign is in UTF-8 and GB18030 alone.
        assert_eq!(others.collect::<String>(), "\u{130}\u{212a}");
        assert_eq!(folded("SET_CONFİG"), "SET_CONFiG");
        assert_eq!(folded("É ẞ Σ"), "é ß σ");
    }

    #[test]
    fn names_that_nothing_folds_are_certain() {
        for name in ["", "Users", "日本", "straße", "ı"] {
            assert!(is_certain(name), "{name}");
        }
        for name in ["İller", "É", &"é".repeat(31)] {
            assert!(!is_certain(name), "{name}");
        }
    }
}
