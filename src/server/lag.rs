//! Asking a new connection how far its host lags behind what it follows, for
//! `servers.NAME.lag_limit`.
//!
//! A standby that has replayed all that it has received does not lag, however long ago the
//! last transaction was: its primary has nothing to do. That counts only while it
//! receives. Otherwise it can lag since the last transaction that it has replayed, or since
//! it was seen without a lag, whichever is later.

use super::Parameters;
use super::authenticate::Login;
use super::connect::ConnectError;
use crate::config::Seen;
use crate::protocol::backend::FrameError;
use std::fmt;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// No operator of anybody's own; for this string of statements alone. What was received is
/// read first: what is replayed meanwhile does not make it look late.
const QUERY: &str = "SET LOCAL search_path = pg_catalog, pg_temp; \
    SELECT pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn(), \
    EXISTS (SELECT FROM pg_stat_wal_receiver WHERE pid IS NOT NULL), \
    extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())";

/// After a quiet time the last transaction is old until the next one is replayed: so
/// long that one has for it.
const GRACE: Duration = Duration::from_millis(100);

/// How far a replica lags, and that this is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// The time; `None`: nobody knows.
    pub lag: Option<Duration>,
    /// The most that it may be.
    pub limit: Duration,
}

impl fmt::Display for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = humantime::format_duration(self.limit);
        match self.lag {
            Some(lag) => write!(f, "lags by {:.1} s, and may by {limit}", lag.as_secs_f64()),
            None => write!(
                f,
                "may lag by {limit}, and nobody knows by how much it does: it has replayed \
                 no transaction since its start"
            ),
        }
    }
}

impl Login {
    /// Refuses a replica that lags too much, before anybody is given the connection.
    /// Returns how it was seen now, if it does not lag.
    pub(super) async fn keeps_up(
        &mut self,
        limit: Duration,
        seen: Option<Seen>,
        parameters: &mut Parameters,
    ) -> Result<Option<Seen>, ConnectError> {
        let begun = Instant::now();
        let first = self.progress(parameters).await?;
        if first.has_replayed(first.received) {
            return Ok(first.seen(begun));
        }
        let lag = first.lag(seen, begun);
        if lag.is_some_and(|lag| lag <= limit) {
            return Ok(None);
        }
        if first.streams {
            sleep(GRACE.min(limit)).await;
            if self
                .progress(parameters)
                .await?
                .has_replayed(first.received)
            {
                return Ok(first.seen(begun));
            }
        }
        Err(ConnectError::Lagging(Lag { lag, limit }))
    }

    async fn progress(&mut self, parameters: &mut Parameters) -> Result<Progress, ConnectError> {
        let row = self.row(QUERY, parameters).await?;
        let row = row.map_err(ConnectError::Refused)?;
        let columns: Vec<_> = row.iter().map(Option::as_deref).collect();
        Ok(Progress::parse(&columns).ok_or(FrameError)?)
    }
}

/// What a standby says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Progress {
    /// Where what it has received ends.
    received: Option<u64>,
    /// Where what it has replayed ends.
    replayed: Option<u64>,
    /// Whether it is connected to what it follows.
    streams: bool,
    /// How long ago the last transaction was committed that it has replayed.
    since: Option<Duration>,
}

impl Progress {
    fn parse(columns: &[Option<&str>]) -> Option<Self> {
        let &[received, replayed, Some(streams), since] = columns else {
            return None;
        };
        let seconds = match since {
            // The clocks of two machines differ.
            Some(text) => Some(text.parse::<f64>().ok()?.max(0.0)),
            None => None,
        };
        Some(Self {
            received: received.and_then(position),
            replayed: replayed.and_then(position),
            streams: streams == "t",
            since: seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        })
    }

    /// The most that it can lag, while it has not replayed all that there is; `None`:
    /// nobody knows.
    fn lag(&self, seen: Option<Seen>, now: Instant) -> Option<Duration> {
        // Another server at the same address may have less.
        let seen = seen.filter(|seen| self.replayed >= Some(seen.replayed));
        let seen = seen.map(|seen| now.saturating_duration_since(seen.at));
        self.since.into_iter().chain(seen).min()
    }

    /// It has, or will have soon, all that it has received at this moment.
    fn seen(&self, at: Instant) -> Option<Seen> {
        let replayed = self.received?;
        Some(Seen { at, replayed })
    }

    /// Whether it is connected, and has replayed all up to this position.
    fn has_replayed(&self, position: Option<u64>) -> bool {
        self.streams && position.is_some() && self.replayed >= position
    }
}

/// A position in the WAL, such as `16/B374D848`.
fn position(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    let part = |text| u32::from_str_radix(text, 16).ok();
    Some(u64::from(part(high)?) << 32 | u64::from(part(low)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(columns: [Option<&str>; 4]) -> Progress {
        Progress::parse(&columns).unwrap()
    }

    #[test]
    fn a_standby_that_has_replayed_all_it_receives_does_not_lag() {
        let (early, late) = (Some("0/FF000000"), Some("1/10"));
        let does_not_lag = |columns| {
            let progress = read(columns);
            progress.has_replayed(progress.received)
        };
        assert!(does_not_lag([late, late, Some("t"), Some("3600")]));
        assert!(does_not_lag([early, late, Some("t"), None]));
        assert!(!does_not_lag([late, early, Some("t"), Some("0")]));
        // It receives nothing: who knows what there is.
        assert!(!does_not_lag([late, late, Some("f"), Some("0")]));
        assert!(!does_not_lag([None, late, Some("t"), Some("0")]));
        assert!(Progress::parse(&[late, late, None, None]).is_none());
    }

    #[test]
    fn it_lags_since_its_last_transaction_or_since_it_was_seen_without_a_lag() {
        let (early, late) = (Some("0/FF000000"), Some("1/10"));
        let seconds = |n| Some(Duration::from_secs(n));
        let at = Instant::now();
        let now = at + Duration::from_secs(5);
        let seen = |replayed| Some(Seen { at, replayed });
        let hour = read([late, early, Some("t"), Some("3600")]);
        assert_eq!(hour.lag(None, now), seconds(3600));
        assert_eq!(hour.lag(seen(0xFF00_0000), now), seconds(5));
        // It is another one now.
        assert_eq!(hour.lag(seen(0x1_0000_0000), now), seconds(3600));
        let none = read([None, early, Some("f"), None]);
        assert_eq!(none.lag(None, now), None);
        assert_eq!(none.lag(seen(1), now), seconds(5));
        // Its clock is behind the primary's.
        let ahead = read([late, early, Some("t"), Some("-2")]);
        assert_eq!(ahead.lag(seen(1), now), seconds(0));
    }
}
