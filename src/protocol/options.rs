//! The startup parameter `options`: command-line switches in one text, as
//! PostgreSQL's `pg_split_opts` and `process_postgres_switches` read them.

/// Why `options` is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A switch other than one that sets a parameter.
    #[error("command-line switch {0:?} is not accepted in the startup parameter \"options\"")]
    Switch(String),
    /// `-c` with nothing after it, or without `=`.
    #[error("-c in the startup parameter \"options\" requires name=value, not {0:?}")]
    NoValue(String),
}

/// The settings that `options` makes: `-c name=value`, `-cname=value` and
/// `--name=value` (in the last two, `-` in the name stands for `_`), split at
/// white space that no backslash escapes.
///
/// # Errors
/// On any other switch, and on one that is not complete.
pub fn decode(options: &str) -> Result<Vec<(String, String)>, OptionsError> {
    let mut settings = Vec::new();
    let mut words = split(options).into_iter();
    while let Some(word) = words.next() {
        let assignment = if let Some(long) = word.strip_prefix("--") {
            long.to_owned()
        } else if let Some(short) = word.strip_prefix("-c") {
            if short.is_empty() {
                words
                    .next()
                    .ok_or_else(|| OptionsError::NoValue(word.clone()))?
            } else {
                short.to_owned()
            }
        } else {
            return Err(OptionsError::Switch(word));
        };
        match assignment.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                settings.push((name.replace('-', "_"), value.to_owned()));
            }
            _ => return Err(OptionsError::NoValue(assignment)),
        }
    }
    Ok(settings)
}

fn split(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = options.chars();
    while let Some(c) = chars.next() {
        match c {
            // isspace() in the C locale.
            ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(chars.next()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn every_spelling_means_the_same() {
        for text in [
            "-c work_mem=4MB",
            "-cwork_mem=4MB",
            "--work_mem=4MB",
            "--work-mem=4MB",
            "-c work-mem=4MB",
            "  -c \t work_mem=4MB  ",
            "\\-c work\\_mem=4MB",
        ] {
            assert_eq!(decode(text), Ok(vec![pair("work_mem", "4MB")]), "{text}");
        }
    }

    #[test]
    fn backslashes_escape_spaces_and_themselves() {
        assert_eq!(
            decode("-c a=b\\ c -c d=\\\\"),
            Ok(vec![pair("a", "b c"), pair("d", "\\")])
        );
        assert_eq!(decode(""), Ok(vec![]));
        assert_eq!(decode("-c a="), Ok(vec![pair("a", "")]));
        assert_eq!(decode("-c a=b=c"), Ok(vec![pair("a", "b=c")]));
    }

    #[test]
    fn other_switches_and_halves_are_refused() {
        for text in ["-d 5", "x", "-S64", "\\ "] {
            assert!(
                matches!(decode(text), Err(OptionsError::Switch(_))),
                "{text}"
            );
        }
        for text in ["-c", "-c a", "--a", "--=b", "--", "-c =b"] {
            assert!(
                matches!(decode(text), Err(OptionsError::NoValue(_))),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = decode(&text);
        }

        #[test]
        fn an_escaped_value_comes_back(value in "[^\0]{0,40}") {
            let escaped: String = value.chars().flat_map(|c| ['\\', c]).collect();
            prop_assert_eq!(decode(&format!("-c a={escaped}")), Ok(vec![pair("a", &value)]));
        }
    }
}
