//! What the proxy counts.
//!
//! For each tenant and database there is an [`Account`], and in it a [`Page`] for each
//! worker. A session counts on the page of its worker, which no other thread writes:
//! that takes neither a lock nor an atomic operation that others wait for. Who reads
//! adds the pages up. What is rare (errors, refusals, logins) is counted in the account,
//! under a lock.
//!
//! Accounts are bounded: tenants beyond `admin.tenant_series` are counted together.

mod account;
mod count;
mod histogram;
mod history;
mod labels;
mod ledger;
mod meter;
mod page;
mod present;
mod process;
mod refusals;
mod samples;
mod stencil;

pub use account::{Account, Outcome, Rare, Subject};
pub use histogram::{BOUNDS, Histogram, Observed};
pub use history::{History, MINUTES, Minute, Recent};
pub use labels::{OTHER, Whose};
pub use ledger::Ledger;
pub use meter::{Meter, Stopwatch};
pub use page::Totals;
pub use present::{Doing, Present};
pub use process::process;
pub use refusals::{MOST_TEXT, Refusals, Refused};
pub use samples::{Format, Gauge, Sample, Samples, number};
