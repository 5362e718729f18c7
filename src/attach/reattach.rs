//! The attachment within a client's pipeline.

use super::answer::Answer;
use super::script::Script;
use super::{Attached, SessionSettings};
use crate::server::Pipe;
use std::sync::Arc;

/// What attaches a connection's tenant again, in the midst of a client's pipeline.
pub trait Reattach {
    /// Queues the attachment without a Sync, and the client's `settings` where all
    /// settings have been reset. Returns what the server must answer.
    fn reattach(&mut self, pipe: &mut Pipe, settings: Option<&SessionSettings>) -> Vec<Expected>;
}

/// An answer to an attachment within a pipeline, which must come as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A message of this type.
    Message(u8),
    /// A row with the tenant's value in each of so many columns.
    Tenant(Arc<str>, usize),
    /// A row.
    Row,
}

#[derive(Debug)]
pub(super) struct AttachedAgain<'a> {
    pub(super) attached: &'a mut Attached,
    pub(super) pid: u32,
    pub(super) serial: u64,
}

impl Reattach for AttachedAgain<'_> {
    fn reattach(&mut self, pipe: &mut Pipe, settings: Option<&SessionSettings>) -> Vec<Expected> {
        let mut script = Script::in_pipeline(&mut pipe.output, self.pid, self.serial);
        let tenant = self.attached.tenant.clone();
        if let Some(settings) = settings {
            script.attach(&tenant);
            script.settings(&tenant, &SessionSettings::default(), settings);
            self.attached.settings = settings.clone();
        } else if tenant.placement.attachment.search_path().is_none() {
            // A search_path may be the client's own by now.
            script.attach(&tenant);
        }
        let (answers, renewal) = script.finish();
        self.attached.renewal = renewal;
        answers.into_iter().flat_map(Answer::in_pipeline).collect()
    }
}
