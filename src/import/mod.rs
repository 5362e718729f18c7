//! A configuration for pgtenant from that of another pooler.
//!
//! What has a counterpart is translated. What has none stands as a comment with its key,
//! its value and the reason, so that nothing is lost unseen. What cannot be known, above
//! all whose login is which tenant's, is left open and marked: `pgtenant check` names the
//! same key.

mod connect;
mod document;
mod entries;
mod ini;
mod keys;
mod logins;
mod main_section;
mod places;
mod pool;
mod remarks;
mod sections;
mod servers;
mod tenants;
mod userlist;
mod values;

pub use keys::{KEYS, Key};

use crate::problem::{Origin, Problem};
use document::Document;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A configuration that was made.
#[derive(Debug)]
pub struct Imported {
    /// The text of `pgtenant.toml`.
    pub toml: String,
    /// The keys that somebody has to decide on, as `pgtenant check` names them.
    pub decisions: Vec<String>,
    /// The keys that name files, which must be there.
    pub files: Vec<String>,
}

/// Translates a `pgbouncer.ini` with its user list. Without `users`, the list is the one
/// that `auth_file` names, if it can be read.
///
/// # Errors
/// Every [`Problem`] that the files have, by file, line and key.
pub fn pgbouncer(ini: &Path, users: Option<&Path>) -> Result<Imported, Vec<Problem>> {
    let mut problems = Vec::new();
    let settings = ini::read(ini, &mut problems);
    let main = main_section::Main::new(&settings);
    let databases = entries::read(&settings, ini::Section::Databases, &mut problems);
    let user_settings = entries::read(&settings, ini::Section::Users, &mut problems);
    let peers = entries::read(&settings, ini::Section::Peers, &mut problems);
    let users = list_of_users(ini, users, &main, &mut problems);
    let places = places::Places::new(&databases, &mut problems);

    let mut document = Document::default();
    let mut source = Source {
        main,
        databases: &databases,
        places: &places,
        users: &users,
        user_settings: &user_settings,
        problems: &mut problems,
    };
    sections::listen(&mut document, &mut source);
    sections::tls(&mut document, &mut source);
    servers::write(&mut document, &mut source);
    pool::write(&mut document, &mut source);
    tenants::isolations(&mut document, &mut source);
    tenants::write(&mut document, &mut source);
    logins::logins(&mut document, &mut source);
    logins::admins(&mut document, &mut source);
    sections::log(&mut document, &mut source);
    remarks::write(&mut document, &source, &settings, &peers);
    if problems.is_empty() {
        return Ok(document.finish(&name(ini), &users));
    }
    // Some values are looked at twice.
    problems.sort_by_cached_key(|one| (one.origin.to_string(), one.position));
    problems.dedup();
    Err(problems)
}

/// What the parts of the output are made of.
struct Source<'a> {
    main: main_section::Main<'a>,
    databases: &'a [entries::Entry<'a>],
    places: &'a places::Places<'a>,
    users: &'a UserList,
    /// `[users]`
    user_settings: &'a [entries::Entry<'a>],
    problems: &'a mut Vec<Problem>,
}

/// The user list, or why there is none.
enum UserList {
    /// It was read.
    Read(String, Vec<userlist::User>),
    /// The file of `auth_file` cannot be read here.
    Unreadable(String),
    /// None is named.
    None,
}

impl UserList {
    fn users(&self) -> &[userlist::User] {
        match self {
            Self::Read(_, users) => users,
            Self::Unreadable(_) | Self::None => &[],
        }
    }
}

fn list_of_users(
    ini: &Path,
    given: Option<&Path>,
    main: &main_section::Main<'_>,
    problems: &mut Vec<Problem>,
) -> UserList {
    if let Some(path) = given {
        let users = userlist::read(path, problems);
        return UserList::Read(name(path), users);
    }
    let Some(file) = main.peek("auth_file").filter(|file| !file.is_empty()) else {
        return UserList::None;
    };
    let path = beside(ini, file);
    if path.is_file() {
        let users = userlist::read(&path, problems);
        UserList::Read(name(&path), users)
    } else {
        UserList::Unreadable(file.to_owned())
    }
}

/// A file that is named in another: PgBouncer looks in its working folder, which for a
/// service is seldom the current one, so the file's own folder comes first.
fn beside(file: &Path, named: &str) -> PathBuf {
    let beside = file.parent().unwrap_or(Path::new("")).join(named);
    if beside.exists() {
        beside
    } else {
        PathBuf::from(named)
    }
}

/// The file's name without its folder.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// A line of a file.
#[derive(Debug, Clone)]
struct At {
    file: Arc<Path>,
    line: u32,
}

impl At {
    /// The line in a comment.
    fn shown(&self) -> String {
        format!("{}:{}", name(&self.file), self.line)
    }

    /// Something that is wrong there.
    fn problem(&self, key: Option<&str>, reason: impl Into<String>) -> Problem {
        Problem {
            origin: Origin::File(Arc::clone(&self.file)),
            position: Some((self.line, 1)),
            key: key.map(str::to_owned),
            value: None,
            reason: reason.into(),
        }
    }
}
