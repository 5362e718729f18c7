//! Whom the server runs as: `initdb` and `postgres` refuse root.

use super::ClusterError;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Accounts that the server may run as when we are root, the best first.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// Whom the server's programs run as.
#[derive(Debug, Clone, Copy)]
pub(super) enum Account {
    /// As ourselves.
    Own,
    /// We are root: as this user and group.
    Other { uid: u32, gid: u32 },
}

impl Account {
    /// The account to use, for a process whose new files look like `ours`.
    pub(super) fn choose(ours: &Path) -> Result<Self, ClusterError> {
        let owner = fs::metadata(ours)
            .map_err(ClusterError::io("read", ours))?
            .uid();
        if owner != 0 {
            return Ok(Self::Own);
        }
        let passwd = Path::new("/etc/passwd");
        let text = fs::read_to_string(passwd).map_err(ClusterError::io("read", passwd))?;
        let (uid, gid) = UNPRIVILEGED
            .iter()
            .find_map(|name| find_user(&text, name))
            .ok_or_else(|| ClusterError::Program {
                program: "initdb",
                output: "it refuses to run as root, and there is no user `postgres` or `nobody` \
                         to run it as; start as another user"
                    .to_owned(),
            })?;
        Ok(Self::Other { uid, gid })
    }

    /// Makes a file or directory the account's.
    pub(super) fn own(self, path: &Path) -> Result<(), ClusterError> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid } => {
                chown(path, Some(uid), Some(gid)).map_err(ClusterError::io("change owner of", path))
            }
        }
    }

    /// Makes a command run as the account.
    pub(super) fn apply(self, command: &mut Command) {
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
    }

    /// Checks that the account can reach `directory`, which must be absolute.
    pub(super) fn check_reach(self, directory: &Path) -> Result<(), ClusterError> {
        let Self::Other { uid, gid } = self else {
            return Ok(());
        };
        for folder in directory.ancestors() {
            let meta = fs::metadata(folder).map_err(ClusterError::io("read", folder))?;
            let search = if meta.uid() == uid {
                0o100
            } else if meta.gid() == gid {
                0o010
            } else {
                0o001
            };
            if meta.permissions().mode() & search == 0 {
                return Err(ClusterError::Directory {
                    path: folder.to_owned(),
                    why: "cannot be entered by the unprivileged user that the server runs as; \
                          name a directory elsewhere, such as under /tmp or /var/tmp"
                        .to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// The user and group id of `name` in the text of `/etc/passwd`.
fn find_user(passwd: &str, name: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some((uid, gid))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npostgres2:x:7:8::/:/bin/sh\n\
                      postgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(find_user(passwd, "postgres"), Some((101, 104)));
        assert_eq!(find_user(passwd, "post"), None);
        assert_eq!(find_user("broken", "broken"), None);
    }
}
