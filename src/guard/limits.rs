//! What is checked before the parser sees the text.

use super::policy::Policy;
use super::rules::{self, Rule};

/// The text of a message, when it is within the limits.
pub(super) fn check<'a>(
    policy: &Policy,
    sql: &'a [u8],
) -> Result<&'a str, (&'static Rule, String)> {
    if sql.len() > policy.max_length {
        let message = too_long(sql.len(), policy.max_length);
        return Err((&rules::LENGTH, message));
    }
    if sql.contains(&0) {
        let message = "invalid byte sequence for encoding \"UTF8\": 0x00".to_owned();
        return Err((&rules::TEXT, message));
    }
    let Ok(text) = std::str::from_utf8(sql) else {
        let message = "query string is not valid UTF-8".to_owned();
        return Err((&rules::TEXT, message));
    };
    if comments_may_nest(sql, policy.max_comment_depth) {
        let depth = comment_depth(sql);
        if depth > policy.max_comment_depth {
            let message = format!(
                "comments are nested deeper than {} levels",
                policy.max_comment_depth
            );
            return Err((&rules::NESTING, message));
        }
    }
    Ok(text)
}

pub(super) fn too_long(len: usize, most: usize) -> String {
    format!("query string of {len} bytes is longer than {most} bytes")
}

/// A cheap bound: whether `/*` occurs more than `limit` times at all.
fn comments_may_nest(sql: &[u8], limit: usize) -> bool {
    // Most statements hold no slash at all, which is quick to see.
    sql.contains(&b'/')
        && sql
            .iter()
            .zip(sql.iter().skip(1))
            .filter(|pair| *pair == (&b'/', &b'*'))
            .nth(limit)
            .is_some()
}

/// How deep comments nest, with strings, identifiers and dollar quotes skipped
/// as PostgreSQL's lexer does. A mistake here costs time only: the parser
/// decides what the text means.
fn comment_depth(sql: &[u8]) -> usize {
    let mut rest = sql;
    let mut deepest = 0;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'\'', _) => after_quote(tail, b'\'', false),
            (b'e' | b'E', [b'\'', string @ ..]) => after_quote(string, b'\'', true),
            (b'"', _) => after_quote(tail, b'"', false),
            (b'-', [b'-', line @ ..]) => after_line(line),
            (b'$', _) => after_dollar_quote(rest).unwrap_or(tail),
            (b'/', [b'*', comment @ ..]) => {
                let (after, depth) = after_comment(comment);
                deepest = deepest.max(depth);
                after
            }
            (b, _) if begins_name(*b) => after_name(tail),
            _ => tail,
        };
    }
    deepest
}

fn begins_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn after_name(rest: &[u8]) -> &[u8] {
    let end = rest
        .iter()
        .position(|b| !begins_name(*b) && !b.is_ascii_digit() && *b != b'$');
    end.and_then(|end| rest.get(end..)).unwrap_or_default()
}

fn after_quote(mut rest: &[u8], quote: u8, escapes: bool) -> &[u8] {
    while let [first, tail @ ..] = rest {
        rest = match tail {
            [_, tail @ ..] if escapes && *first == b'\\' => tail,
            _ => tail,
        };
        if *first == quote {
            break;
        }
    }
    rest
}

fn after_line(rest: &[u8]) -> &[u8] {
    let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r'));
    end.and_then(|end| rest.get(end..)).unwrap_or_default()
}

fn after_comment(mut rest: &[u8]) -> (&[u8], usize) {
    let (mut depth, mut deepest) = (1, 1);
    while depth > 0 {
        rest = match rest {
            [b'*', b'/', tail @ ..] => {
                depth -= 1;
                tail
            }
            [b'/', b'*', tail @ ..] => {
                depth += 1;
                deepest = deepest.max(depth);
                tail
            }
            [_, tail @ ..] => tail,
            [] => break,
        };
    }
    (rest, deepest)
}

/// What follows the dollar-quoted string that `rest` begins with, if it does;
/// nothing when the string does not end.
fn after_dollar_quote(rest: &[u8]) -> Option<&[u8]> {
    let length = 2 + rest.get(1..)?.iter().position(|b| *b == b'$')?;
    let (tag, body) = rest.split_at_checked(length)?;
    let name = tag.get(1..length - 1)?;
    let named = name.iter().all(|b| begins_name(*b) || b.is_ascii_digit());
    if !named || name.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let end = body.windows(tag.len()).position(|window| window == tag);
    Some(
        end.and_then(|end| body.get(end + tag.len()..))
            .unwrap_or_default(),
    )
}
