//! Temporary relations that are gone with the server connection that they were on.

use crate::protocol::ClientError;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The most names that are remembered; beyond that, every name counts as lost.
const MOST: usize = 10_000;

/// The bytes of a name that PostgreSQL looks at.
const NAME_LENGTH: usize = 63;

/// The names of temporary relations that a client made and that were taken away: a
/// statement with one of them could change a permanent relation of that name.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// Those of ASCII letters, digits and underscores, by their lower case.
    words: BTreeMap<Box<[u8]>, BTreeSet<Box<str>>>,
    /// The others, which a text may spell in many ways.
    others: BTreeSet<Box<str>>,
    /// How many there are.
    count: usize,
    /// There were more.
    any: bool,
}

impl Lost {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0 && !self.any
    }

    pub(super) fn extend<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            if self.count >= MOST {
                self.any = true;
                return;
            }
            let is_new = match word(name) {
                Some(word) => self.words.entry(word).or_default().insert(name.into()),
                None => self.others.insert(name.into()),
            };
            self.count += usize::from(is_new);
        }
    }

    /// They were made anew.
    pub(super) fn remove(&mut self, names: &[Box<str>]) {
        for name in names {
            let mut was_there = self.others.remove(name);
            if let Some(word) = word(name)
                && let Some(names) = self.words.get_mut(&word)
            {
                was_there = names.remove(name);
                if names.is_empty() {
                    self.words.remove(&word);
                }
            }
            self.count -= usize::from(was_there);
        }
    }

    /// Refuses a text that may mean one of them, unless it is among those that the
    /// text makes anew. Refuses too much rather than too little: a name is looked for
    /// in the text, word by word, and where it cannot be seen it counts as found.
    pub(super) fn check(&self, sql: &[u8], made_anew: &[Box<str>]) -> Result<(), ClientError> {
        if self.any {
            let message = "temporary relations are gone: other clients waited for their server \
                           connections";
            return Err(ClientError::error("42P01", message)
                .hint("Run DISCARD TEMP to go on without them."));
        }
        let words = self.mentioned(sql).flatten();
        let mut seen = words.chain(&self.others).map(|name| &**name);
        let made_anew: HashSet<&str> = made_anew.iter().map(|name| &**name).collect();
        match seen.find(|name| !made_anew.contains(name)) {
            None => Ok(()),
            Some(name) => Err(ClientError::error(
                "42P01",
                format!(
                    "temporary relation \"{name}\" is gone: other clients waited for its server \
                     connection"
                ),
            )
            .hint("Create it again, or run DISCARD TEMP to go on without it.")),
        }
    }

    /// The names that a text may have: each of its words is looked up once.
    fn mentioned<'a>(&'a self, sql: &'a [u8]) -> impl Iterator<Item = &'a BTreeSet<Box<str>>> {
        // `U&` can write any letter otherwise.
        let escaped = sql.windows(2).any(|pair| pair.eq_ignore_ascii_case(b"U&"));
        let all = escaped.then(|| self.words.values());
        let words = (!escaped).then(|| words(sql));
        let found = words
            .into_iter()
            .flatten()
            .filter_map(|word| self.words.get(&*lower(word)));
        all.into_iter().flatten().chain(found)
    }
}

/// What a plain name is looked up by.
fn word(name: &str) -> Option<Box<[u8]>> {
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_plain.then(|| lower(name.as_bytes()))
}

fn lower(word: &[u8]) -> Box<[u8]> {
    let word = word.get(..NAME_LENGTH).unwrap_or(word);
    word.to_ascii_lowercase().into()
}

/// The longest runs of what may stand in a name without quotes.
fn words(sql: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = |b: &u8| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | 0x80..));
    sql.split(ends).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(names: &[&str]) -> Lost {
        let mut lost = Lost::default();
        lost.extend(names.iter().copied());
        lost
    }

    fn made(names: &[&str]) -> Vec<Box<str>> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn a_name_is_found_as_a_word_in_any_spelling() {
        let ct = lost(&["ct"]);
        for sql in [
            "SELECT * FROM ct",
            "table CT",
            "drop table \"ct\";",
            "x.ct.y",
            "U&\"\\0063t\"",
        ] {
            assert!(ct.check(sql.as_bytes(), &[]).is_err(), "{sql}");
        }
        for sql in ["", "c", "SELECT 1", "SELECT act, ct_1, ctx, ct$ FROM t"] {
            assert!(ct.check(sql.as_bytes(), &[]).is_ok(), "{sql}");
        }
        assert!(lost(&["a b"]).check(b"SELECT 1", &[]).is_err());
        // PostgreSQL cuts long names.
        let long = "x".repeat(NAME_LENGTH);
        let text = format!("DROP TABLE {long}yz");
        assert!(lost(&[&long]).check(text.as_bytes(), &[]).is_err());
    }

    #[test]
    fn what_is_made_anew_is_not_lost_and_hides_no_other() {
        let mut two = lost(&["a", "b", "B"]);
        let sql = b"CREATE TEMP TABLE a (); DROP TABLE b";
        assert!(two.check(sql, &made(&["a"])).is_err());
        assert!(two.check(sql, &made(&["a", "b"])).is_err());
        assert!(two.check(sql, &made(&["a", "b", "B"])).is_ok());
        two.remove(&made(&["a", "b"]));
        assert!(two.check(b"DROP TABLE a", &[]).is_ok());
        assert!(two.check(b"DROP TABLE b", &[]).is_err());
        two.remove(&made(&["B"]));
        assert!(two.is_empty());
    }

    #[test]
    fn a_long_text_is_read_once_whatever_is_lost() {
        let names: Vec<_> = (0..MOST).map(|n| format!("lost_{n}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let lost = lost(&names);
        let mut text = "a, ".repeat((1 << 20) / 3);
        // No byte is in two words, and each word is one lookup.
        let bytes: usize = words(text.as_bytes()).map(<[u8]>::len).sum();
        assert!(bytes <= text.len());
        assert!(words(text.as_bytes()).count() <= text.len() / 2 + 1);
        assert!(lost.check(text.as_bytes(), &[]).is_ok());
        text.push_str("LOST_9999");
        assert!(lost.check(text.as_bytes(), &[]).is_err());
    }

    #[test]
    fn beyond_the_most_every_name_counts_as_lost() {
        let names: Vec<_> = (0..=MOST).map(|n| format!("lost_{n}")).collect();
        let mut lost = lost(&[]);
        lost.extend(names.iter().map(String::as_str));
        assert!(lost.check(b"DELETE FROM t", &[]).is_err());
    }
}
