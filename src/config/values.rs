//! What each key of the configuration says, so that two configurations can be compared.

use super::reader::path_of;
use super::source::{Data, Table, Value};
use aws_lc_rs::digest::{Context, SHA256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What each key says, as digests: of its value, and of the files that it names.
///
/// It is made of the configuration as it is written, so that no section and no key can
/// be forgotten. `[[tenants]]` and `[[logins]]` are not among the keys.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<String, [u8; 32]>);

/// Digests may be of secrets.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Values {
    /// Those of the file and the environment, and what was read of other files, by
    /// the paths of the keys that name them.
    pub(super) fn new(table: &Table, files: &BTreeMap<String, Vec<[u8; 32]>>) -> Self {
        let mut values = Self::default();
        let directory = ["tenants", "logins"];
        let keys = table
            .iter()
            .filter(|(key, _)| !directory.contains(&key.as_str()));
        for (key, value) in keys {
            values.add(&path_of("", key), value, files);
        }
        values
    }

    fn add(&mut self, path: &str, value: &Value, files: &BTreeMap<String, Vec<[u8; 32]>>) {
        if let Data::Table(table) = &value.data {
            for (key, value) in table {
                self.add(&path_of(path, key), value, files);
            }
            return;
        }
        let mut context = Context::new(&SHA256);
        digest(&value.data, &mut context);
        for file in files.get(path).into_iter().flatten() {
            context.update(file);
        }
        self.0.insert(path.to_owned(), finish(context));
    }

    /// The paths of the keys that `now` has otherwise; of a section that one of them
    /// does not have, the section's.
    #[must_use]
    pub fn differing(&self, now: &Self) -> Vec<String> {
        let (old, new) = (self.sections(), now.sections());
        let keys = self.0.keys().chain(now.0.keys());
        let keys = keys.filter(|key| self.0.get(*key) != now.0.get(*key));
        let names = keys.map(|key| match key.rsplit_once('.') {
            Some((section, _)) if old.contains(section) != new.contains(section) => section,
            _ => key.as_str(),
        });
        let names: BTreeSet<_> = names.collect();
        names.into_iter().map(str::to_owned).collect()
    }

    fn sections(&self) -> BTreeSet<&str> {
        let keys = self.0.keys().filter_map(|key| key.rsplit_once('.'));
        keys.map(|(section, _)| section).collect()
    }
}

/// The digest of a file.
pub(super) fn of_file(bytes: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    finish(context)
}

fn finish(context: Context) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Adds what tells the value from every other one.
fn digest(data: &Data, context: &mut Context) {
    let mut part = |tag: u8, bytes: &[u8]| {
        context.update(&[tag]);
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    };
    match data {
        Data::Text(text) => part(b't', text.as_bytes()),
        Data::Integer(n) => part(b'i', &n.to_be_bytes()),
        Data::Float(n) => part(b'f', &n.to_bits().to_be_bytes()),
        Data::Boolean(b) => part(b'b', &[u8::from(*b)]),
        Data::List(values) => {
            part(b'l', &(values.len() as u64).to_be_bytes());
            for value in values {
                digest(&value.data, context);
            }
        }
        Data::Table(table) => {
            part(b's', &(table.len() as u64).to_be_bytes());
            for (key, value) in table {
                digest(&Data::Text(key.clone()), context);
                digest(&value.data, context);
            }
        }
    }
}
