//! The Unix-domain socket of `[listen]`.

use super::reader::{Entry, Section};
use nix::unistd::User;
use std::path::PathBuf;

/// The rights of its socket, unless they are given: the proxy's user and group.
const MODE: u32 = 0o770;
/// Systems have room for some hundred bytes: macOS 103, Linux 107.
const LONGEST: usize = 103 - "/.s.PGSQL.65535".len();

/// Where clients on this machine connect without a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixListen {
    /// The folder of the socket (key `unix`).
    pub folder: PathBuf,
    /// Who may connect, as the system sees to (key `unix_mode`).
    pub mode: u32,
    /// The system's users that may connect, by their numbers (key `unix_users`).
    pub users: Option<Box<[u32]>>,
}

impl UnixListen {
    /// Whether a process of this user may connect.
    #[must_use]
    pub fn admits(&self, user: u32) -> bool {
        self.users
            .as_ref()
            .is_none_or(|users| users.contains(&user))
    }
}

pub(super) fn read(section: &mut Section<'_>) -> Option<UnixListen> {
    let folder = section.optional("unix");
    let mode = section.optional("unix_mode");
    let users = section.optional("unix_users");
    let Some(folder) = folder else {
        for key in ["unix_mode", "unix_users"] {
            section.refuse(key, "has no meaning without listen.unix");
        }
        return None;
    };
    let path = folder.path();
    if path
        .as_ref()
        .is_some_and(|path| path.as_os_str().len() > LONGEST)
    {
        folder.refuse(format!("is too long for a socket: at most {LONGEST} bytes"));
    }
    let mode = mode.map_or(Some(MODE), |entry| octal(&entry));
    let users = users.map_or(Some(None), |entry| numbers(&entry).map(Some));
    Some(UnixListen {
        folder: path?,
        mode: mode?,
        users: users?,
    })
}

fn octal(entry: &Entry<'_>) -> Option<u32> {
    let mode = u32::from_str_radix(entry.text()?, 8).ok();
    let mode = mode.filter(|mode| *mode <= 0o777);
    if mode.is_none() {
        entry.refuse("must be the rights in octal digits, such as \"0770\" or \"0777\"");
    }
    mode
}

fn numbers(entry: &Entry<'_>) -> Option<Box<[u32]>> {
    let number = |text: &str| {
        let number = text.parse().ok().or_else(|| {
            let user = User::from_name(text).ok()??;
            Some(user.uid.as_raw())
        });
        if number.is_none() {
            entry.refuse_hidden(format!("there is no user {text:?} on this machine"));
        }
        number
    };
    let numbers: Vec<_> = entry.texts()?.into_iter().map(number).collect();
    numbers.into_iter().collect()
}
