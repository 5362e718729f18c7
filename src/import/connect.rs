//! The values of `[databases]`, `[users]` and `[peers]`: `key=value` pairs with spaces
//! between (PgBouncer's `loader.c`, `cstr_get_pair`).

/// A pair of key and value.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) value: String,
}

/// Splits the text, or says what is wrong with it. Values are not in the message: one
/// may be a password.
pub(super) fn pairs(text: &str) -> Result<Vec<Pair>, String> {
    let mut pairs = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, value) = rest
            .split_once('=')
            .ok_or("is not made of key=value pairs")?;
        let key = key.trim();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err("is not made of key=value pairs".into());
        }
        let value = value.trim_start();
        let (value, after) = match value.strip_prefix('\'') {
            Some(quoted) => unquote(quoted).ok_or_else(|| {
                format!("{key} has no closing quote: a quote within is written twice")
            })?,
            None => {
                let end = value.find(char::is_whitespace).unwrap_or(value.len());
                let (value, after) = value.split_at_checked(end).unwrap_or((value, ""));
                (value.to_owned(), after)
            }
        };
        if value.is_empty() {
            return Err(format!("{key} has no value"));
        }
        let key = key.to_owned();
        pairs.push(Pair { key, value });
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// What stands before the closing quote, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('\'')?;
        value.push_str(before);
        match after.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None => return Some((value, after)),
        }
    }
}
