//! A typed reader that notes every problem and goes on.
//!
//! Each function that reads a value returns `None` after it has noted what is
//! wrong, so that one pass finds everything.

use super::source::{Data, Environment, Table, Value};
use super::{CertificateFile, values};
use crate::directory::Files;
use crate::problem::{Origin, Place, Problem, nearest, shown, suggestion};
use crate::x509::Lifetime;
use rustls::pki_types::CertificateDer;
use std::cell::{Ref, RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most bytes of a file that a key names, in MiB.
const MOST_MIB: u64 = 1;

/// What all sections share: the place of problems, and what values refer to.
pub(super) struct Reader {
    /// The configuration file.
    file: Origin,
    /// Its folder, which paths are relative to.
    folder: PathBuf,
    environment: Environment,
    problems: RefCell<Vec<Problem>>,
    files: RefCell<Files>,
    /// Digests of what was read of files, by the path of the key that names them.
    contents: RefCell<BTreeMap<String, Vec<[u8; 32]>>>,
    certificates: RefCell<Vec<CertificateFile>>,
}

impl Reader {
    pub(super) fn new(
        path: &Path,
        environment: Environment,
        problems: Vec<Problem>,
        files: Files,
    ) -> Self {
        Self {
            file: Origin::File(path.into()),
            folder: path.parent().unwrap_or(Path::new("")).into(),
            environment,
            problems: RefCell::new(problems),
            files: RefCell::new(files),
            contents: RefCell::default(),
            certificates: RefCell::default(),
        }
    }

    /// A reader of what is in no file.
    pub(super) fn of_rows() -> Self {
        let environment = Environment::new([]);
        Self::new(Path::new(""), environment, Vec::new(), Files::default())
    }

    /// The whole file as a section.
    pub(super) fn root<'a>(&'a self, table: &'a Table) -> Section<'a> {
        self.document(&self.file, table)
    }

    /// Another file, or a row, as a section.
    pub(super) fn document<'a>(&'a self, origin: &'a Origin, table: &'a Table) -> Section<'a> {
        Section::new(self, String::new(), origin, Some(table))
    }

    /// The files that were read so far, or were to be.
    pub(super) fn files(&self) -> RefMut<'_, Files> {
        self.files.borrow_mut()
    }

    /// Digests of what was read of files, by the path of the key that names them.
    pub(super) fn contents(&self) -> Ref<'_, BTreeMap<String, Vec<[u8; 32]>>> {
        self.contents.borrow()
    }

    /// The files of certificates that were read, but for those of many.
    pub(super) fn certificates(&self) -> Vec<CertificateFile> {
        self.certificates.take()
    }

    /// Notes a problem that has its own place.
    pub(super) fn add(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// How many problems were noted.
    pub(super) fn count(&self) -> usize {
        self.problems.borrow().len()
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Whether nothing was noted.
    pub(super) fn is_content(&self) -> bool {
        self.count() == 0
    }

    /// All that was noted.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// Notes a problem with this key of the file.
    pub(super) fn note_at(&self, key: &str, reason: &str) {
        self.note(&self.file, key, None, reason.to_owned());
    }

    fn note(&self, origin: &Origin, key: &str, value: Option<String>, reason: String) {
        self.add(Problem {
            origin: origin.clone(),
            position: None,
            key: (!key.is_empty()).then(|| key.to_owned()),
            value,
            reason,
        });
    }
}

/// A table of the configuration, present or not.
pub(super) struct Section<'a> {
    reader: &'a Reader,
    path: String,
    origin: &'a Origin,
    table: Option<&'a Table>,
    /// The keys that were asked for.
    known: Vec<String>,
    /// Keys that are not offered in suggestions, having a problem of their own.
    noted: BTreeSet<String>,
}

impl<'a> Section<'a> {
    fn new(reader: &'a Reader, path: String, origin: &'a Origin, table: Option<&'a Table>) -> Self {
        Self {
            reader,
            path,
            origin,
            table,
            known: Vec::new(),
            noted: BTreeSet::new(),
        }
    }

    /// The value of `key`, if there is one.
    pub(super) fn optional(&mut self, key: &str) -> Option<Entry<'a>> {
        if !self.known.iter().any(|known| known == key) {
            self.known.push(key.to_owned());
        }
        self.entry(key)
    }

    /// The value of `key`, which must be there; `what` says what it is.
    pub(super) fn required(&mut self, key: &str, what: &str) -> Option<Entry<'a>> {
        let entry = self.optional(key);
        if entry.is_none() {
            self.missing(key, what);
        }
        entry
    }

    /// Notes that `key` is missing.
    pub(super) fn missing(&self, key: &str, what: &str) {
        let reason = format!("is missing: {what}");
        let path = self.path_of(key);
        self.reader.note(self.origin, &path, None, reason);
    }

    /// The table of `key`; an empty one if it is not there.
    pub(super) fn section(&mut self, key: &str) -> Section<'a> {
        self.optional(key)
            .and_then(|entry| entry.table())
            .unwrap_or_else(|| {
                Section::new(self.reader, self.path_of(key), &self.reader.file, None)
            })
    }

    /// The tables inside the table of `key`, by name.
    pub(super) fn sections(&mut self, key: &str) -> Vec<(String, Option<Section<'a>>)> {
        let section = self.section(key);
        let names = section.table.into_iter().flat_map(Table::keys);
        let read = |name: &String| {
            let entry = section.entry(name)?;
            if name.is_empty() || name.contains(char::is_control) {
                entry.refuse_hidden("a section needs a name of visible characters");
            }
            entry.table()
        };
        names.map(|name| (name.clone(), read(name))).collect()
    }

    /// The tables of the list of `key`.
    pub(super) fn tables(&mut self, key: &str) -> Vec<Section<'a>> {
        let Some(entry) = self.optional(key) else {
            return Vec::new();
        };
        let Data::List(values) = entry.data else {
            entry.refuse_hidden(format!("must be a list of tables: write [[{key}]]"));
            return Vec::new();
        };
        let items = values.iter().enumerate();
        items
            .filter_map(|(i, value)| entry.item(i, value).table())
            .collect()
    }

    /// Notes that `key`, if it is there, cannot be used, and why.
    pub(super) fn refuse(&mut self, key: &str, reason: &str) {
        if let Some(entry) = self.entry(key) {
            self.noted.insert(key.to_owned());
            entry.refuse_hidden(reason);
        }
    }

    /// Whether `key` is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Notes a problem with the section itself.
    pub(super) fn refuse_section(&self, reason: impl Display) {
        let reason = reason.to_string();
        self.reader.note(self.origin, &self.path, None, reason);
    }

    /// The section's path, such as `tenants[2]`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Where the section is.
    pub(super) fn place(&self) -> Place {
        let elsewhere = self.origin != &self.reader.file;
        Place::new(self.origin.clone(), self.path.clone(), elsewhere)
    }

    /// Notes every key that was not asked for.
    pub(super) fn finish(&self) {
        let known = || self.known.iter().map(String::as_str);
        for key in self.table.into_iter().flat_map(Table::keys) {
            if self.noted.contains(key) || known().any(|known| known == key) {
                continue;
            }
            if let Some(entry) = self.entry(key) {
                entry.refuse_hidden(format!("unknown key; {}", suggestion(key, known())));
            }
        }
    }

    fn entry(&self, key: &str) -> Option<Entry<'a>> {
        let value = self.table?.get(key)?;
        Some(Entry {
            reader: self.reader,
            path: self.path_of(key),
            origin: &value.origin,
            data: &value.data,
        })
    }

    fn path_of(&self, key: &str) -> String {
        path_of(&self.path, key)
    }
}

/// The path of a key in the section of this path.
pub(super) fn path_of(section: &str, key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let key = if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        shown(key)
    };
    if section.is_empty() {
        key
    } else {
        format!("{section}.{key}")
    }
}

/// A value of the configuration and where it is.
pub(super) struct Entry<'a> {
    reader: &'a Reader,
    path: String,
    origin: &'a Origin,
    data: &'a Data,
}

impl<'a> Entry<'a> {
    /// Notes that the value is wrong, and shows it.
    pub(super) fn refuse(&self, reason: impl Display) {
        let value = match self.data {
            Data::Text(text) => Some(shown(text)),
            Data::Integer(n) => Some(n.to_string()),
            Data::Float(n) => Some(n.to_string()),
            Data::Boolean(b) => Some(b.to_string()),
            Data::Table(_) | Data::List(_) => None,
        };
        self.note(value, reason);
    }

    /// Notes that the value is wrong without showing it.
    pub(super) fn refuse_hidden(&self, reason: impl Display) {
        self.note(None, reason);
    }

    fn note(&self, value: Option<String>, reason: impl Display) {
        let reason = reason.to_string();
        self.reader.note(self.origin, &self.path, value, reason);
    }

    pub(super) fn reader(&self) -> &'a Reader {
        self.reader
    }

    /// Notes when the certificates expire that were read from the file.
    pub(super) fn note_lifetime(&self, file: &Path, certificates: &[CertificateDer<'_>]) {
        if let Some(lifetime) = Lifetime::of(certificates) {
            let mut all = self.reader.certificates.borrow_mut();
            if all.iter().all(|known| known.key != self.path) {
                all.push(CertificateFile {
                    key: self.path.clone(),
                    file: file.to_owned(),
                    lifetime,
                });
            }
        }
    }

    /// The value as text that is not empty and has no control characters.
    pub(super) fn text(&self) -> Option<&'a str> {
        let Data::Text(text) = self.data else {
            self.refuse("must be text in quotes");
            return None;
        };
        self.usable(text, Self::refuse)
    }

    /// The same for a secret, which is not shown.
    pub(super) fn secret(&self) -> Option<&'a str> {
        let Data::Text(text) = self.data else {
            self.refuse_hidden("must be text in quotes");
            return None;
        };
        self.usable(text, Self::refuse_hidden)
    }

    fn usable(&self, text: &'a str, refuse: fn(&Self, &'static str)) -> Option<&'a str> {
        if text.is_empty() {
            refuse(self, "must not be empty");
            None
        } else if text.contains(char::is_control) {
            refuse(self, "must not have control characters");
            None
        } else {
            Some(text)
        }
    }

    /// The value as text that may have several lines.
    pub(super) fn lines(&self) -> Option<&'a str> {
        let Data::Text(text) = self.data else {
            self.refuse("must be text in quotes");
            return None;
        };
        let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if text.trim().is_empty() || text.contains(control) {
            self.refuse_hidden("must be text that is not empty and has no control characters");
            return None;
        }
        Some(text)
    }

    /// The value as a whole number.
    pub(super) fn integer(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let number = self.number(&range);
        if number.is_none() {
            let (least, most) = range.into_inner();
            self.refuse(format!("must be a whole number from {least} to {most}"));
        }
        number
    }

    /// The value as a whole number, or as this word: then there is `None` in it.
    pub(super) fn integer_or(&self, word: &str, range: RangeInclusive<u32>) -> Option<Option<u32>> {
        if matches!(self.data, Data::Text(text) if text.trim() == word) {
            return Some(None);
        }
        let number = self.number(&range);
        if number.is_none() {
            let (least, most) = range.into_inner();
            self.refuse(format!(
                "must be \"{word}\" or a whole number from {least} to {most}"
            ));
        }
        number.map(Some)
    }

    fn number(&self, range: &RangeInclusive<u32>) -> Option<u32> {
        let number = match self.data {
            Data::Integer(n) => *n,
            Data::Text(text) if self.is_overridden() => text.trim().parse().ok()?,
            _ => return None,
        };
        u32::try_from(number).ok().filter(|n| range.contains(n))
    }

    /// The value as true or false.
    pub(super) fn boolean(&self) -> Option<bool> {
        match self.data {
            Data::Boolean(b) => Some(*b),
            Data::Text(text) if self.is_overridden() && text == "true" => Some(true),
            Data::Text(text) if self.is_overridden() && text == "false" => Some(false),
            _ => {
                self.refuse("must be true or false");
                None
            }
        }
    }

    /// The value as a length of time.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let duration = match self.data {
            Data::Text(text) => humantime::parse_duration(text).ok(),
            _ => None,
        };
        let duration = duration.filter(|duration| range.contains(duration));
        if duration.is_none() {
            let (least, most) = range.into_inner();
            self.refuse(format!(
                "must be a length of time with its unit, such as \"5s\", from {} to {}",
                humantime::format_duration(least),
                humantime::format_duration(most),
            ));
        }
        duration
    }

    /// The value as one of several words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = match self.data {
            Data::Text(text) => text.as_str(),
            _ => "",
        };
        if let Some((_, chosen)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*chosen);
        }
        let words = choices.iter().map(|(word, _)| *word);
        let all: Vec<_> = words.clone().map(|word| format!("\"{word}\"")).collect();
        let meant = match nearest(text, words) {
            Some(word) => format!("; did you mean \"{word}\"?"),
            None => String::new(),
        };
        self.refuse(format!("must be one of {}{meant}", all.join(", ")));
        None
    }

    /// The value as one text or a list of texts. In an environment variable the
    /// list is separated by commas.
    pub(super) fn texts(&self) -> Option<Vec<&'a str>> {
        let texts: Option<Vec<_>> = match self.data {
            Data::Text(text) if self.is_overridden() => text
                .split(',')
                .map(|t| self.usable(t.trim(), Self::refuse))
                .collect(),
            Data::Text(_) => self.text().map(|text| vec![text]),
            Data::List(values) => {
                let items = values.iter().enumerate();
                // Every item is read before one of them ends it.
                let read: Vec<_> = items.map(|(i, v)| self.item(i, v).text()).collect();
                read.into_iter().collect()
            }
            _ => {
                self.refuse("must be text in quotes or a list of such");
                None
            }
        };
        let texts = texts?;
        if texts.is_empty() {
            self.refuse("must not be an empty list");
            return None;
        }
        Some(texts)
    }

    /// Whether the value is written as a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.data, Data::List(_))
    }

    /// The value as the path of a file, relative to the configuration's folder.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let pasted = |text: &str| text.contains("-----BEGIN") || text.contains('\n');
        if let Data::Text(text) = self.data
            && pasted(text)
        {
            self.refuse_hidden("must be the path of a file, not what is in it");
            return None;
        }
        Some(self.reader.folder.join(self.text()?))
    }

    /// The file that the value names, read whole.
    pub(super) fn file(&self) -> Option<(PathBuf, Vec<u8>)> {
        self.file_of(self.path()?, MOST_MIB)
    }

    /// The files that the value names, one or several, each read whole; of at
    /// most `most` MiB each.
    pub(super) fn files(&self, most: u64) -> Option<Vec<(PathBuf, Vec<u8>)>> {
        let paths = self.texts()?.into_iter();
        let files: Vec<_> = paths
            .map(|path| self.file_of(self.reader.folder.join(path), most))
            .collect();
        files.into_iter().collect()
    }

    fn file_of(&self, path: PathBuf, most: u64) -> Option<(PathBuf, Vec<u8>)> {
        self.reader.files().note(&path);
        let most_bytes = most << 20;
        let mut bytes = Vec::new();
        let read = std::fs::File::open(&path)
            .and_then(|file| file.take(most_bytes + 1).read_to_end(&mut bytes));
        if let Err(e) = read {
            self.refuse(format!("cannot read {}: {e}", path.display()));
            return None;
        }
        if bytes.len() as u64 > most_bytes {
            self.refuse(format!("{} is larger than {most} MiB", path.display()));
            return None;
        }
        let digest = values::of_file(&bytes);
        let mut contents = self.reader.contents.borrow_mut();
        contents.entry(self.path.clone()).or_default().push(digest);
        Some((path, bytes))
    }

    /// The value as a section.
    fn table(&self) -> Option<Section<'a>> {
        let Data::Table(table) = self.data else {
            self.refuse_hidden("must be a section with keys of its own");
            return None;
        };
        let path = self.path.clone();
        Some(Section::new(self.reader, path, self.origin, Some(table)))
    }

    fn item(&self, index: usize, value: &'a Value) -> Self {
        Entry {
            reader: self.reader,
            path: format!("{}[{index}]", self.path),
            origin: &value.origin,
            data: &value.data,
        }
    }

    fn is_overridden(&self) -> bool {
        matches!(self.origin, Origin::Environment(_) | Origin::Console)
    }
}
