//! How much a statement has answered, where that is limited.

use crate::guard::Refusal;
use crate::tenant::MostResult;

/// What a statement fails with that answers too much: program_limit_exceeded, as for other
/// limits of the proxy's. A query_canceled would be taken for the client's own.
pub(super) const TOO_MUCH: &str = "54000";
/// So many portals are counted one by one.
const MOST_PORTALS: usize = 256;
/// More is not waited for before the server is asked to cancel, in bytes.
const MOST_DROPPED: usize = 256 << 10;

/// What the statement that runs has answered.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// What it may; `None`: anything.
    most: Option<MostResult>,
    count: Count,
    /// The portal that is executed.
    portal: Option<Box<[u8]>>,
    /// What suspended portals have answered before.
    suspended: Vec<(Box<[u8]>, Count)>,
    /// What portals have answered at most that are not counted one by one.
    uncounted: Count,
    pub(super) over: Option<Over>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    rows: u64,
    bytes: u64,
}

/// A statement that has answered too much: the client has been told.
#[derive(Debug, Default)]
pub(super) struct Over {
    /// What is left of it if the server commits it.
    pub(super) remains: Remains,
    /// It has ended; nothing is left to be cancelled.
    pub(super) ended: bool,
    /// The server has failed, as the client was told.
    pub(super) failed: bool,
    /// The audit log has been told.
    pub(super) recorded: bool,
    /// The server was asked to cancel it.
    pub(super) cancelled: bool,
    pub(super) dropped: usize,
}

/// What is left of a statement, or string of statements, once it is committed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remains {
    /// Nothing.
    #[default]
    Nothing,
    /// What a single statement has done: it is undone with an open transaction.
    OfOne,
    /// Anything: it may have ended transactions.
    Anything,
}

/// Which limit it was.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    Rows(u64),
    Bytes(u64),
}

impl Tally {
    /// A statement is sent, of this portal.
    pub(super) fn begin(&mut self, most: MostResult, portal: Option<&[u8]>) {
        self.most = Some(most);
        self.portal = portal.map(Box::from);
        let known = portal.and_then(|portal| self.suspended.iter().find(|(p, _)| **p == *portal));
        self.count = match (portal, known) {
            (None, _) => Count::default(),
            (Some(_), Some((_, count))) => *count,
            (Some(_), None) => self.uncounted,
        };
    }

    /// What is sent next may answer anything.
    pub(super) fn stop(&mut self) {
        self.most = None;
    }

    /// Which limit one more message of this length would exceed.
    pub(super) fn exceeded(&self, len: usize) -> Option<Limit> {
        self.count.with(len).exceeds(self.most?)
    }

    /// One of the server's messages has been counted: what follows from its kind.
    pub(super) fn step(&mut self, tag: u8) {
        match tag {
            b's' => self.suspend(),
            b'C' | b'I' => self.count = Count::default(),
            _ => {}
        }
    }

    /// Whether answers are counted or dropped.
    pub(super) fn is_on(&self) -> bool {
        self.most.is_some()
    }

    /// Whether what comes is dropped.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Counts a row, or copied data, in a message of this length, if there may be one more.
    pub(super) fn admits(&mut self, len: usize) -> bool {
        let (Some(most), None) = (self.most, &self.over) else {
            return true;
        };
        let now = self.count.with(len);
        let fits = now.exceeds(most).is_none();
        if fits {
            self.count = now;
        }
        fits
    }

    /// Whether the audit log is to be told now that the statement has failed for its client.
    pub(super) fn is_to_be_recorded(&mut self) -> bool {
        let over = self.over.as_mut();
        over.is_some_and(|over| !std::mem::replace(&mut over.recorded, true))
    }

    /// The portal has stopped at the number of rows that the client had asked for.
    fn suspend(&mut self) {
        let Some(portal) = self.portal.take() else {
            return;
        };
        self.forget(&portal);
        if self.suspended.len() < MOST_PORTALS {
            self.suspended.push((portal, self.count));
        } else {
            self.uncounted.rows = self.uncounted.rows.max(self.count.rows);
            self.uncounted.bytes = self.uncounted.bytes.max(self.count.bytes);
        }
    }

    /// Another portal has this name.
    pub(super) fn forget(&mut self, portal: &[u8]) {
        self.suspended.retain(|(name, _)| **name != *portal);
    }

    /// The transaction is over, and its portals with it.
    pub(super) fn end_portals(&mut self) {
        self.suspended.clear();
        self.uncounted = Count::default();
    }

    /// Whether the server is to be asked to cancel the statement: it has not ended yet.
    /// `waits`: all that has come is dropped.
    pub(super) fn wants_cancel(&self, waits: bool) -> bool {
        self.over.as_ref().is_some_and(|over| {
            let enough = waits || over.dropped > MOST_DROPPED;
            enough && !over.ended && !over.cancelled
        })
    }
}

impl Count {
    fn with(self, len: usize) -> Self {
        Self {
            rows: self.rows + 1,
            bytes: self.bytes.saturating_add(len as u64),
        }
    }

    fn exceeds(self, most: MostResult) -> Option<Limit> {
        let rows = most.rows.filter(|most| self.rows > *most).map(Limit::Rows);
        let bytes = || most.bytes.filter(|most| self.bytes > *most);
        rows.or_else(|| bytes().map(Limit::Bytes))
    }
}

impl Limit {
    pub(super) fn refusal(self) -> Refusal {
        let (rule, message) = match self {
            Self::Rows(most) => (
                "max-rows",
                format!("the statement answers with more than {most} rows"),
            ),
            Self::Bytes(most) => (
                "max-result-bytes",
                format!("the statement answers with more than {most} bytes"),
            ),
        };
        Refusal {
            rule,
            sqlstate: TOO_MUCH,
            message,
            hint: HINT,
        }
    }
}

pub(super) const HINT: &str = "Ask for less (WHERE, LIMIT), or ask the administrator to raise max_rows or \
                    max_result_bytes of the login's profile.";
