//! `[check]`

use super::reader::Section;
use std::fmt;
use std::str::FromStr;

/// A finding of `pgtenant check` that is known and accepted: `PGT502`, or of one
/// object, `PGT209 table public.countries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// The check's id, in upper case.
    pub id: String,
    /// The object, as the report names it; `None` stands for all.
    pub object: Option<String>,
}

impl FromStr for Ignored {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let (id, object) = match text.split_once(char::is_whitespace) {
            Some((id, object)) => (id, Some(object.trim().to_owned())),
            None => (text, None),
        };
        let id = id.to_ascii_uppercase();
        let number = id.strip_prefix("PGT");
        let is_id =
            number.is_some_and(|n| n.len() == 3 && n.bytes().all(|byte| byte.is_ascii_digit()));
        if !is_id {
            return Err(
                "must be the id of a check, alone or with an object behind it as the report \
                 has them, such as \"PGT502\" or \"PGT209 table public.countries\"",
            );
        }
        Ok(Self { id, object })
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            Some(object) => write!(f, "{} {object}", self.id),
            None => f.write_str(&self.id),
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Vec<Ignored> {
    let mut ignored = Vec::new();
    if let Some(entry) = section.optional("ignore") {
        for text in entry.texts().unwrap_or_default() {
            match text.parse() {
                Ok(one) => ignored.push(one),
                Err(reason) => entry.refuse(format!("{text:?} {reason}")),
            }
        }
    }
    section.finish();
    ignored
}
