//! What a server reports of itself and its session (ParameterStatus).

use crate::protocol::backend;
use std::sync::Arc;

/// Parameters that the server reports by itself, in the order in which it reported
/// them first. Cheap to clone; most clients of a pool share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters(
    /// Names and values by turns, each with a NUL behind it.
    Arc<str>,
);

impl Default for Parameters {
    fn default() -> Self {
        Self(Arc::from(""))
    }
}

impl Parameters {
    /// Takes the body of a ParameterStatus.
    ///
    /// # Errors
    /// If it is not one.
    pub fn update(&mut self, body: &[u8]) -> Result<(), backend::FrameError> {
        let (name, value) = backend::parameter_status(body).ok_or(backend::FrameError)?;
        if self.get(name) == Some(value) {
            return Ok(());
        }
        let mut text = String::with_capacity(self.0.len() + name.len() + value.len() + 2);
        let mut add = |name: &str, value: &str| {
            for part in [name, value] {
                text.push_str(part);
                text.push('\0');
            }
        };
        let mut is_known = false;
        for (known, before) in self.iter() {
            let is_it = known == name;
            add(known, if is_it { value } else { before });
            is_known |= is_it;
        }
        if !is_known {
            add(name, value);
        }
        self.0 = Arc::from(text);
        Ok(())
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        // Behind the last NUL there is a name without a value, which is none.
        let mut parts = self.0.split('\0');
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }

    /// The value of one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut parameters = self.iter();
        parameters
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// Those that differ from what `before` says of them.
    pub fn differing<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.iter()
            .filter(|(name, value)| before.get(name) != Some(value))
    }

    /// Whether both say the same. They share their memory then.
    #[inline]
    pub fn joins(&mut self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.joins_equal(other)
    }

    fn joins_equal(&mut self, other: &Self) -> bool {
        let is_equal = self.0 == other.0;
        if is_equal {
            self.0 = other.0.clone();
        }
        is_equal
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_counts_in_the_first_place() {
        let mut parameters = Parameters::default();
        assert_eq!(parameters.iter().count(), 0);
        for body in [
            &b"DateStyle\0ISO, MDY\0"[..],
            b"search_path\0\0",
            b"TimeZone\0UTC\0",
        ] {
            parameters.update(body).unwrap();
        }
        let mut before = parameters.clone();
        assert!(before.joins(&parameters));
        parameters.update(b"search_path\0a\0").unwrap();
        let all: Vec<_> = parameters.iter().collect();
        let expected = [
            ("DateStyle", "ISO, MDY"),
            ("search_path", "a"),
            ("TimeZone", "UTC"),
        ];
        assert_eq!(all, expected);
        let new: Vec<_> = parameters.differing(&before).collect();
        assert_eq!(new, [("search_path", "a")]);
        assert!(!before.joins(&parameters));
        assert!(parameters.update(b"x\0").is_err());
    }
}
