//! What has taken effect once a command is complete.

use super::link::{Link, Pinned};
use super::outstanding::Reply;
use super::response::{Fate, UNEXPECTED};
use super::{Engine, Fault};
use crate::attach::Cleanup;
use crate::guard::Verdict;
use crate::server::Pipe;

impl Engine {
    /// A statement has run.
    pub(super) fn take_command(
        &mut self,
        link: &mut Link,
        pipe: &mut Pipe,
        body: &[u8],
    ) -> Result<Fate, Fault> {
        match link.outstanding.front() {
            Some(Reply::Ours(b'C')) => {
                link.outstanding.pop();
                return Ok(Fate::Drop);
            }
            Some(Reply::Query(verdict)) => {
                let verdict = verdict.clone();
                self.audit_command(link, body);
                self.completed(link, pipe, &verdict, body);
                return Ok(Fate::Pass);
            }
            _ => {}
        }
        let Some(Reply::Execute(verdict)) = link.outstanding.pop() else {
            return Err(UNEXPECTED);
        };
        link.copy_in = false;
        self.audit_command(link, body);
        if let Some(verdict) = verdict {
            link.sql_prepared.begin();
            self.completed(link, pipe, &verdict, body);
            let effects = &verdict.effects;
            link.followup.has_reset(effects);
            link.followup.committed |= body.starts_with(b"DISCARD ALL");
            if self.returns_to_startup(&verdict) {
                link.followup.returned.extend_from_slice(&effects.defaults);
            }
        }
        Ok(Fate::Pass)
    }

    /// What has taken effect once a command of a query string is complete.
    fn completed(&mut self, link: &mut Link, pipe: &mut Pipe, verdict: &Verdict, tag: &[u8]) {
        let tag = tag.strip_suffix(b"\0").unwrap_or(tag);
        match tag {
            b"DEALLOCATE ALL" | b"DISCARD ALL" => {
                pipe.prepared.clear();
                self.statements.clear_named();
                link.sql_prepared.clear();
            }
            b"PREPARE" => link.sql_prepared.prepared(&verdict.effects),
            b"DEALLOCATE" => {
                if let Some(name) = link.sql_prepared.deallocated(&verdict.effects) {
                    self.statements.remove(name.as_bytes());
                }
            }
            _ => {}
        }
        if tag == b"DISCARD ALL" || tag == b"DISCARD TEMP" {
            self.lost = None;
        }
        if tag == b"DISCARD ALL" {
            link.pinned = Pinned::No;
            link.temporary.clear();
            link.cleanup = Cleanup::None;
        }
    }
}
