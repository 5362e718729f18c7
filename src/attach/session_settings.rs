//! Settings that a client has made for itself.

use super::userset::is_userset;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A client's own session settings (`TimeZone`, `statement_timeout`, …), by
/// name in lower case. They follow the client from one server connection to
/// the next. Cheap to clone and to compare.
#[derive(Debug, Clone, Default)]
pub struct SessionSettings(Arc<BTreeMap<Box<str>, Box<str>>>);

impl SessionSettings {
    /// Settings from names and values; of two with one name the later counts.
    #[must_use]
    pub fn new(settings: impl IntoIterator<Item = (String, String)>) -> Self {
        let lower = |(name, value): (String, String)| {
            (
                name.to_ascii_lowercase().into_boxed_str(),
                value.into_boxed_str(),
            )
        };
        Self(Arc::new(settings.into_iter().map(lower).collect()))
    }

    /// The value of one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| &**value)
    }

    /// Changes one; `None` removes it.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let map = Arc::make_mut(&mut self.0);
        match value {
            Some(value) => map.insert(name.into(), value.into()),
            None => map.remove(name),
        };
    }

    /// Whether there is one that makes statements fail by time.
    pub(super) fn has_timeout(&self) -> bool {
        self.names().any(|name| name.ends_with("_timeout"))
    }

    /// Whether a time limit in force is another than that of `wanted`.
    pub(super) fn limits_otherwise(&self, wanted: &Self) -> bool {
        let mut limits = self.iter().filter(|(name, _)| name.ends_with("_timeout"));
        limits.any(|(name, value)| wanted.get(name) != Some(value))
    }

    /// Whether turning `self` into `wanted` resets a setting whose RESET may
    /// fail: it may be a superuser's, or an extension's, and `temp_buffers`
    /// cannot be changed once temporary tables have been used.
    pub(super) fn leaves_unusual(&self, wanted: &Self) -> bool {
        let mut gone = self.names().filter(|name| wanted.get(name).is_none());
        !Arc::ptr_eq(&self.0, &wanted.0)
            && gone.any(|name| !is_userset(name) || name == "temp_buffers")
    }

    /// Their names, in lower case.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }

    /// Names, in lower case, and values, in the names' order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// What names and values take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What turns `self` into `wanted`: a name and its value, or `None` to
    /// reset it.
    pub(super) fn changes<'a>(&'a self, wanted: &'a Self) -> Vec<(&'a str, Option<&'a str>)> {
        if Arc::ptr_eq(&self.0, &wanted.0) {
            return Vec::new();
        }
        let gone = self.0.keys().filter(|name| !wanted.0.contains_key(*name));
        let new = wanted
            .0
            .iter()
            .filter(|(name, value)| self.0.get(*name) != Some(value));
        gone.map(|name| (&**name, None))
            .chain(new.map(|(name, value)| (&**name, Some(&**value))))
            .collect()
    }
}

impl PartialEq for SessionSettings {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for SessionSettings {}

impl std::hash::Hash for SessionSettings {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(pairs: &[(&str, &str)]) -> SessionSettings {
        SessionSettings::new(
            pairs
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned())),
        )
    }

    #[test]
    fn changes_are_what_differs_and_no_more() {
        let from = own(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let to = own(&[("A", "1"), ("b", "x"), ("d", "4")]);
        assert_eq!(
            from.changes(&to),
            [("c", None), ("b", Some("x")), ("d", Some("4"))]
        );
        assert!(to.changes(&to.clone()).is_empty());
        assert!(own(&[("a", "1")]).changes(&own(&[("a", "1")])).is_empty());
    }
}
