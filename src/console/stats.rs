//! `SHOW STATS` and its kin: what is counted for each database of the servers, in all
//! and over the last period.

use super::Steered;
use super::table::{Table, Value};
use crate::metrics::{Ledger, OTHER, Totals};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The period that averages are over; PgBouncer's `stats_period`.
pub const PERIOD: Duration = Duration::from_secs(60);

/// What is counted of a database, in the order of PgBouncer's columns; times in
/// microseconds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    assignments: u64,
    transactions: u64,
    queries: u64,
    received: u64,
    sent: u64,
    transaction_time: u64,
    query_time: u64,
    wait_time: u64,
}

/// By database.
pub type ByDatabase = BTreeMap<String, Counted>;

impl Counted {
    fn of(totals: &Totals) -> Self {
        Self {
            assignments: totals.assignments(),
            transactions: totals.transactions,
            queries: totals.queries,
            received: totals.received,
            sent: totals.sent,
            transaction_time: totals.transaction.micros(),
            query_time: totals.busy / 1000,
            wait_time: totals.wait.micros(),
        }
    }

    fn fields(self) -> [u64; 8] {
        [
            self.assignments,
            self.transactions,
            self.queries,
            self.received,
            self.sent,
            self.transaction_time,
            self.query_time,
            self.wait_time,
        ]
    }

    fn add(&mut self, other: Self) {
        let fields = [
            &mut self.assignments,
            &mut self.transactions,
            &mut self.queries,
            &mut self.received,
            &mut self.sent,
            &mut self.transaction_time,
            &mut self.query_time,
            &mut self.wait_time,
        ];
        for (sum, n) in fields.into_iter().zip(other.fields()) {
            *sum = sum.saturating_add(n);
        }
    }

    /// Since `before`: what happened is a rate for each second, what took time is a mean.
    fn averages(self, before: Self, time: Duration) -> [u64; 8] {
        let mut since = self.fields();
        for (now, before) in since.iter_mut().zip(before.fields()) {
            *now = now.saturating_sub(before);
        }
        let [
            assigned,
            transactions,
            queries,
            received,
            sent,
            in_transaction,
            in_query,
            waited,
        ] = since;
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = |n: u64| n.saturating_mul(1000) / millis;
        let mean = |time: u64, n: u64| time.checked_div(n).unwrap_or(0);
        [
            rate(assigned),
            rate(transactions),
            rate(queries),
            rate(received),
            rate(sent),
            mean(in_transaction, transactions),
            mean(in_query, queries),
            mean(waited, assigned),
        ]
    }
}

/// What the ledger has counted.
#[must_use]
pub fn counted(ledger: &Ledger) -> ByDatabase {
    let mut counted = ByDatabase::new();
    for (subject, account) in ledger.accounts() {
        let database = counted.entry(subject.database.to_string()).or_default();
        database.add(Counted::of(&account.totals()));
    }
    let mut others = Counted::of(&ledger.other().totals());
    others.add(Counted::of(&ledger.gone()));
    if others != Counted::default() {
        counted.entry(OTHER.to_owned()).or_default().add(others);
    }
    counted
}

/// What was counted at the end of the last two periods.
#[derive(Debug, Default)]
pub struct Periods(Mutex<Option<(Snapshot, Snapshot)>>);

#[derive(Debug, Clone)]
struct Snapshot {
    at: Instant,
    counted: ByDatabase,
}

impl Periods {
    /// A period ends with this.
    pub fn end(&self, counted: ByDatabase) {
        let now = Snapshot {
            at: Instant::now(),
            counted,
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.take().map_or_else(|| now.clone(), |(_, last)| last);
        *kept = Some((before, now));
    }

    fn averages(&self, database: &str) -> [u64; 8] {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((before, last)) = &*kept else {
            return [0; 8];
        };
        let of = |snapshot: &Snapshot| snapshot.counted.get(database).copied();
        let time = last.at.duration_since(before.at);
        let (now, then) = (of(last), of(before));
        now.unwrap_or_default()
            .averages(then.unwrap_or_default(), time)
    }
}

const STATS: &str = "database:t total_server_assignment_count:n total_xact_count:n total_query_count:n total_received:n total_sent:n total_xact_time:n total_query_time:n total_wait_time:n avg_server_assignment_count:n avg_xact_count:n avg_query_count:n avg_recv:n avg_sent:n avg_xact_time:n avg_query_time:n avg_wait_time:n";
const ONE_SORT: &str = "database:t server_assignment_count:n xact_count:n query_count:n bytes_received:n bytes_sent:n xact_time:n query_time:n wait_time:n";

/// What `SHOW what` shows; `None` if it is no such word.
pub(super) fn table(what: &str, steered: &impl Steered) -> Option<Table> {
    let counted = steered.counted();
    let averages = |database: &str| steered.periods().averages(database);
    let rows = |columns, numbers: &dyn Fn(&str, Counted) -> Vec<u64>| {
        let mut table = Table::new(columns);
        for (database, counted) in &counted {
            let numbers = numbers(database, *counted).into_iter().map(Value::from);
            table.row(std::iter::once(database.as_str().into()).chain(numbers));
        }
        table
    };
    Some(match what {
        "stats" => rows(STATS, &|database, counted| {
            [counted.fields(), averages(database)].concat()
        }),
        "stats_totals" => rows(ONE_SORT, &|_, counted| counted.fields().to_vec()),
        "stats_averages" => rows(ONE_SORT, &|database, _| averages(database).to_vec()),
        "totals" => {
            let mut sums = [0_u64; 16];
            for (database, counted) in &counted {
                let numbers = [counted.fields(), averages(database)].concat();
                for (sum, n) in sums.iter_mut().zip(numbers) {
                    *sum = sum.saturating_add(n);
                }
            }
            let mut table = Table::new("name:t value:n");
            let names = Table::new(STATS).columns.into_iter().skip(1);
            for ((name, _), sum) in names.zip(sums) {
                table.row([name.into(), sum.into()]);
            }
            table
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_of_the_last_period_alone() {
        let before = Counted {
            transactions: 100,
            transaction_time: 1000,
            ..Counted::default()
        };
        let now = Counted {
            transactions: 220,
            transaction_time: 13_000,
            ..before
        };
        let averages = now.averages(before, PERIOD);
        assert_eq!(averages, [0, 2, 0, 0, 0, 100, 0, 0]);
        // A count that began anew is no negative one.
        assert_eq!(before.averages(now, Duration::ZERO), [0; 8]);
    }
}
