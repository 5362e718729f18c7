//! The text of `pgtenant.toml`, line by line.

use super::{Imported, UserList, values};

/// Where comments break.
const WIDTH: usize = 92;

/// The output so far.
#[derive(Default)]
pub(super) struct Document {
    text: String,
    decisions: Vec<String>,
    files: Vec<String>,
}

impl Document {
    /// Begins a section, such as `[pool]`.
    pub(super) fn section(&mut self, header: &str) {
        self.line("");
        self.line(header);
    }

    /// A line as it is.
    pub(super) fn line(&mut self, line: &str) {
        // No value of the input may end a comment or a line.
        let line = line.replace(|c: char| c.is_control() && c != '\t', "?");
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// A comment, broken into lines.
    pub(super) fn comment(&mut self, text: &str) {
        self.indented("# ", text);
    }

    /// A comment whose lines begin with this.
    pub(super) fn indented(&mut self, indent: &str, text: &str) {
        self.wrapped(indent, indent, text);
    }

    /// A comment whose lines begin with `indent`, and the first one with `first`.
    fn wrapped(&mut self, first: &str, indent: &str, text: &str) {
        let mut line = String::from(first);
        for word in text.split_whitespace() {
            let is_begun = line != indent;
            if is_begun && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                line = String::from(indent);
            } else if is_begun {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(&line);
    }

    /// A key with its value in TOML, and where it comes from.
    pub(super) fn key(&mut self, key: &str, value: &str, from: &str) {
        if from.is_empty() {
            self.line(&format!("{key} = {value}"));
        } else {
            self.line(&format!("{key} = {value}  # {from}"));
        }
    }

    /// A key with a text.
    pub(super) fn text(&mut self, key: &str, value: &str, from: &str) {
        self.key(key, &values::text(value), from);
    }

    /// Marks a key that somebody has to decide on.
    pub(super) fn decide(&mut self, path: &str, text: &str) {
        self.wrapped(&format!("# DECIDE {path}:"), "# ", text);
        self.decisions.push(path.to_owned());
    }

    /// Marks a key that names a file, which must be there.
    pub(super) fn file(&mut self, path: &str, text: &str) {
        self.wrapped(&format!("# FILE {path}:"), "# ", text);
        self.files.push(path.to_owned());
    }

    /// Whether nothing has been written.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Adds another document.
    pub(super) fn append(&mut self, other: Self) {
        self.text.push_str(&other.text);
        self.decisions.extend(other.decisions);
        self.files.extend(other.files);
    }

    /// A section with its content, as a comment if it cannot hold as it is.
    pub(super) fn block(&mut self, header: &str, content: Self, is_comment: bool) {
        if is_comment {
            self.line(&format!("# {header}"));
            for line in content.text.lines() {
                self.line(&format!("# {line}"));
            }
        } else {
            self.line(header);
            self.append(content);
        }
    }

    /// The whole text, with its head.
    pub(super) fn finish(self, ini: &str, users: &UserList) -> Imported {
        let mut head = Self::default();
        let list = match users {
            UserList::Read(name, _) => format!(" and {name}"),
            UserList::Unreadable(_) | UserList::None => String::new(),
        };
        head.comment(&format!("Made by `pgtenant import` from {ini}{list}."));
        head.line("#");
        head.comment(
            "PgBouncer gives a client the database that it asks for. pgtenant gives it the data \
             of its login's tenant. So each database here has become a tenant of kind \
             \"database\", and each user a login, of one tenant: who used several databases needs \
             several logins. Where many customers share one database, by \
             row-level security or in schemas of their own, each customer is a tenant instead: \
             see the examples at [isolation].",
        );
        head.line("#");
        let open = match self.decisions.len() {
            0 => "Nothing is left to decide.".to_owned(),
            n => format!("Left to decide: {n}, each at a line that begins with DECIDE."),
        };
        head.comment(&format!(
            "{open} Lines that begin with FILE name files that must be there. `pgtenant check \
             --offline --config FILE` tells what is missing. What has no counterpart is at the \
             end, with the reason."
        ));
        Imported {
            toml: head.text + &self.text,
            decisions: self.decisions,
            files: self.files,
        }
    }
}
