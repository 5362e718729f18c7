//! What cleans up when this process dies without a chance to.

use super::ClusterError;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Reads process ids, one a line (an empty line: none), until its input ends,
/// which is when we are gone. Then it stops the last one and removes `$1`, if
/// that is not empty.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
pid=
while read -r line; do pid=$line; done
if [ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null; then
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 10 ]; do
        sleep 1
        tries=$((tries + 1))
    done
fi
[ -z "$1" ] || rm -rf -- "$1"
"#;

/// A process that outlives us just long enough to clean up. While we live and
/// when we end in good order it does nothing.
#[derive(Debug)]
pub(super) struct Watcher {
    child: Child,
    input: Option<ChildStdin>,
}

impl Watcher {
    /// Starts it; `remove` is the directory to remove.
    pub(super) fn start(remove: Option<&Path>) -> Result<Self, ClusterError> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "pgtenant-watcher"])
            .arg(remove.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .map_err(ClusterError::io("start", Path::new("/bin/sh")))?;
        let input = child.stdin.take();
        Ok(Self { child, input })
    }

    /// From now on it is this process that must not outlive us.
    pub(super) fn watch(&mut self, pid: u32) {
        self.tell(&format!("{pid}\n"));
    }

    /// From now on there is no process to stop.
    pub(super) fn forget(&mut self) {
        self.tell("\n");
    }

    fn tell(&mut self, line: &str) {
        // A watcher that is gone cannot help; that is no reason to fail.
        if let Some(input) = &mut self.input {
            let _ = input.write_all(line.as_bytes());
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Killed before its input ends, so that it does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
