//! One scrape: what is written, family by family.

use super::account::{Account, Outcome, Rare, Subject};
use super::histogram::Observed;
use super::labels::{Labels, Whose};
use super::ledger::Ledger;
use super::page::Totals;
use super::present::Present;
use super::stencil::Stencil;
use crate::attach::Reuse;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{self, DescriptorEncoder, EncodeCounterValue, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;

/// The formats in which metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own text, version 0.0.4.
    Prometheus,
}

impl Format {
    /// Writes what is registered.
    pub(super) fn encode(self, registry: &Registry, mut out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::OpenMetrics => encoding::text::encode_registry(&mut out, registry),
            Self::Prometheus => encoding::prometheus_text::encode(&mut out, registry),
        }
    }

    /// Writes what says that there is no more.
    fn end(self, mut out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::OpenMetrics => encoding::text::encode_eof(&mut out),
            Self::Prometheus => Ok(()),
        }
    }
}

/// A number with its labels.
#[derive(Debug)]
pub struct Sample {
    /// Names and values.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: f64,
}

/// Numbers of one name that go up and down.
#[derive(Debug)]
pub struct Gauge {
    /// The name, without a unit.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Its unit, which is part of the name.
    pub unit: Option<Unit>,
    /// Whether it only grows.
    pub is_counter: bool,
    /// The numbers.
    pub samples: Vec<Sample>,
}

/// Everything that one scrape shows.
#[derive(Debug)]
pub struct Samples {
    counted: Vec<Counted>,
    present: Present,
    gauges: Vec<Gauge>,
}

/// What an account holds, and whose it is.
#[derive(Debug)]
struct Counted {
    labels: Labels,
    /// Its tenant is known.
    is_own: bool,
    totals: Totals,
    rare: Rare,
}

impl Counted {
    fn of(whose: &Whose, account: &Account) -> Self {
        Self {
            labels: Labels::of(whose),
            is_own: matches!(whose, Whose::Own(_)),
            totals: account.totals(),
            rare: account.rare(),
        }
    }

    /// Whether a client of these has been there.
    fn has_served(&self) -> bool {
        self.is_own || self.totals != Totals::default()
    }
}

impl Samples {
    /// What these accounts of the ledger hold now, what there is beside, and `gauges`.
    #[must_use]
    pub fn new(
        ledger: &Ledger,
        accounts: Vec<(Subject, Arc<Account>)>,
        present: Present,
        gauges: Vec<Gauge>,
    ) -> Self {
        let own = accounts.into_iter();
        let own = own.map(|(subject, account)| Counted::of(&Whose::Own(subject), &account));
        let rest = [
            Counted::of(&Whose::Others, ledger.other()),
            Counted::of(&Whose::Nobodys, ledger.unknown()),
        ];
        Self {
            counted: own.chain(rest).collect(),
            present,
            gauges,
        }
    }

    /// Writes all of it as text.
    ///
    /// # Errors
    /// If it cannot be written to `out`.
    pub fn write(self, format: Format, out: &mut dyn fmt::Write) -> fmt::Result {
        let samples = Arc::new(self);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Numbers(samples.clone())));
        format.encode(&registry, out)?;
        samples.histograms(format, out)?;
        format.end(out)
    }

    fn histograms(&self, format: Format, out: &mut dyn fmt::Write) -> fmt::Result {
        let mut write = |name, help, of: fn(&Totals) -> &Observed| {
            let counted = self.counted.iter();
            let all = counted.map(|counted| (&counted.labels, of(&counted.totals)));
            Stencil::new(format, name, help).write(all, out)
        };
        write(
            "pgtenant_wait",
            "How long transactions waited for a server connection, opening one included",
            |totals| &totals.wait,
        )?;
        write(
            "pgtenant_transaction",
            "How long transactions held a server connection",
            |totals| &totals.transaction,
        )?;
        write(
            "pgtenant_login",
            "How long logins took that were accepted",
            |totals| &totals.login,
        )
    }

    /// Counters that each account has one of.
    fn counter<V: EncodeCounterValue>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: impl Fn(&Counted) -> V,
    ) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
        for counted in self.counted.iter().filter(|counted| counted.has_served()) {
            metric
                .encode_family(&counted.labels)?
                .encode_counter::<NoLabelSet, V, f64>(&value(counted), None)?;
        }
        Ok(())
    }

    /// Counters that each account has several of, told apart by more labels.
    fn counters<'s, const N: usize, I>(
        &'s self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        values: impl Fn(&'s Counted) -> I,
    ) -> fmt::Result
    where
        I: Iterator<Item = ([(&'static str, &'s str); N], u64)>,
    {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for counted in &self.counted {
            for (more, value) in values(counted) {
                metric
                    .encode_family(&counted.labels.with(more))?
                    .encode_counter::<NoLabelSet, _, f64>(&value, None)?;
            }
        }
        Ok(())
    }

    fn traffic(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.counter(
            encoder,
            "pgtenant_transactions",
            "Transactions that have ended",
            None,
            |counted| counted.totals.transactions,
        )?;
        self.counter(
            encoder,
            "pgtenant_queries",
            "Queries that servers have answered: each Query message, or pipeline up to its Sync",
            None,
            |counted| counted.totals.queries,
        )?;
        self.counter(
            encoder,
            "pgtenant_client_received",
            "Bytes of the protocol from clients that are in",
            Some(&Unit::Bytes),
            |counted| counted.totals.received,
        )?;
        self.counter(
            encoder,
            "pgtenant_client_sent",
            "Bytes of the protocol to clients that are in",
            Some(&Unit::Bytes),
            |counted| counted.totals.sent,
        )?;
        self.counter(
            encoder,
            "pgtenant_query",
            "Time in which transactions were not waiting for their client",
            Some(&Unit::Seconds),
            |counted| number(counted.totals.busy / 1000) / 1e6,
        )
    }

    fn rare(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.counters(
            encoder,
            "pgtenant_errors",
            "Errors that clients were told, by the class of their SQLSTATE",
            |counted| {
                let errors = counted.rare.errors.iter();
                errors.map(|(class, n)| {
                    let class = std::str::from_utf8(class).unwrap_or("??");
                    ([("class", class)], *n)
                })
            },
        )?;
        self.counters(
            encoder,
            "pgtenant_refusals",
            "Statements that the guard refused, or would have, by rule",
            |counted| {
                let refusals = counted.rare.refusals.iter();
                refusals.map(|(rule, n)| ([("rule", *rule)], *n))
            },
        )?;
        self.counters(
            encoder,
            "pgtenant_logins",
            "Logins, by what the client was asked for and how they ended",
            |counted| {
                let logins = counted.rare.logins.iter();
                logins.map(|((method, outcome), n): (&(&'static str, Outcome), _)| {
                    let labels = [("method", *method), ("outcome", outcome.name())];
                    (labels, *n)
                })
            },
        )?;
        self.counters(
            encoder,
            "pgtenant_attachments",
            "Server connections given to transactions, by what made them the tenant's",
            |counted| {
                let reused = counted.totals.reused;
                let named = Reuse::ALL.into_iter().zip(reused);
                let used = named.filter(|(_, n)| *n > 0);
                used.map(|(reuse, n)| ([("kind", reuse.name())], n))
            },
        )?;
        self.counters(
            encoder,
            "pgtenant_reclaimed",
            "Server connections taken back from clients that held them while others waited",
            |counted| {
                let reclaimed = counted.has_served().then_some(counted.rare.reclaimed);
                reclaimed.into_iter().map(|n| ([], n))
            },
        )
    }
}

/// All but the histograms.
#[derive(Debug)]
struct Numbers(Arc<Samples>);

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(samples) = self;
        samples.traffic(&mut encoder)?;
        samples.rare(&mut encoder)?;
        samples.present.encode(&mut encoder)?;
        for gauge in &samples.gauges {
            let kind = match gauge.is_counter {
                true => MetricType::Counter,
                false => MetricType::Gauge,
            };
            let unit = gauge.unit.as_ref();
            let mut metric = encoder.encode_descriptor(gauge.name, gauge.help, unit, kind)?;
            for Sample { labels, value } in &gauge.samples {
                let mut metric = metric.encode_family(labels)?;
                match gauge.is_counter {
                    true => metric.encode_counter::<NoLabelSet, _, f64>(value, None)?,
                    false => metric.encode_gauge(value)?,
                }
            }
        }
        Ok(())
    }
}

/// A count as the formats have it. Beyond 2^53 its last digits are not exact.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "so the formats have it")]
pub fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::super::present::Doing;
    use super::*;
    use crate::tenant::TenantId;

    fn written(present: Present, format: Format) -> String {
        let ledger = Ledger::new(1, 1);
        ledger.not_accepted(None, "scram", Outcome::Refused);
        let samples = Samples::new(&ledger, ledger.accounts(), present, Vec::new());
        let mut text = String::new();
        let done = samples.write(format, &mut text);
        done.expect("a string takes all");
        text
    }

    #[test]
    fn names_of_strangers_stay_within_their_quotes() {
        let subject = Subject {
            tenant: TenantId::new("a \"quoted\"\n\\ name"),
            database: "its \"own\"\n\\".into(),
        };
        for format in [Format::OpenMetrics, Format::Prometheus] {
            let mut present = Present::default();
            present.client(Whose::Own(subject.clone()), Doing::Idle, 2);
            let text = written(present, format);
            let line = r#"pgtenant_prepared_statements{tenant="a \"quoted\"\n\\ name",database="its \"own\"\n\\"} 2"#;
            assert!(text.lines().any(|one| one == line), "{text}");
        }
    }

    #[test]
    fn logins_that_lead_to_nobody_are_counted_without_a_tenant() {
        let text = written(Present::default(), Format::OpenMetrics);
        let line =
            r#"pgtenant_logins_total{tenant="",database="",method="scram",outcome="refused"} 1"#;
        assert!(text.lines().any(|one| one.starts_with(line)), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
