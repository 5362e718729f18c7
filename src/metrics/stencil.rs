//! Histograms of many tenants as text.
//!
//! Most lines of a scrape are buckets, and those of one histogram differ in labels and
//! numbers alone. So `prometheus-client` writes one, in the format that is asked for, and
//! what it has written is the stencil for all.

use super::histogram::{BOUNDS, Observed};
use super::labels::Labels;
use super::samples::Format;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt::{self, Write};

/// Stands where labels will be.
const MARK: (&str, &str) = ("\u{1a}", "");
/// The same as it is written.
const MARKED: &str = "\u{1a}=\"\"";

/// The lines of a histogram of seconds.
#[derive(Debug)]
pub(super) struct Stencil {
    /// What comes once, in front of all.
    head: String,
    lines: Vec<Line>,
}

/// A line: what is in front of a tenant's labels, what is behind them, and which number
/// ends it.
#[derive(Debug)]
struct Line {
    front: String,
    behind: String,
    number: Number,
}

#[derive(Debug, Clone, Copy)]
enum Number {
    /// All times together, in seconds.
    Sum,
    /// How many times there were.
    Count,
    /// How many were in this bucket, or in one below it.
    Bucket(usize),
}

impl Stencil {
    /// That of a histogram of this name, without its unit.
    pub(super) fn new(format: Format, name: &'static str, help: &'static str) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Specimen { name, help }));
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = format.encode(&registry, &mut text);
        let mut stencil = Self {
            head: String::new(),
            lines: Vec::new(),
        };
        let mut buckets = 0..;
        for line in text.split_inclusive('\n') {
            let Some((front, behind)) = line.split_once(MARKED) else {
                stencil.head.push_str(line);
                continue;
            };
            let behind = behind.rsplit_once(' ').map_or("", |(behind, _)| behind);
            let number = match front.split_once('{') {
                Some((name, _)) if name.ends_with("_sum") => Number::Sum,
                Some((name, _)) if name.ends_with("_count") => Number::Count,
                _ => Number::Bucket(buckets.next().unwrap_or_default()),
            };
            stencil.lines.push(Line {
                front: front.to_owned(),
                behind: format!("{behind} "),
                number,
            });
        }
        stencil
    }

    /// Writes the histograms of all, but for those in which nothing was counted.
    pub(super) fn write<'a>(
        &self,
        all: impl Iterator<Item = (&'a Labels, &'a Observed)>,
        out: &mut dyn Write,
    ) -> fmt::Result {
        out.write_str(&self.head)?;
        let mut text = String::new();
        for (labels, observed) in all.filter(|(_, observed)| observed.count() > 0) {
            text.clear();
            self.fill(labels, observed, &mut text);
            out.write_str(&text)?;
        }
        Ok(())
    }

    fn fill(&self, labels: &Labels, observed: &Observed, text: &mut String) {
        let counts = observed.up_to_each();
        let mut digits = itoa::Buffer::new();
        for line in &self.lines {
            text.push_str(&line.front);
            text.push_str(labels.text());
            text.push_str(&line.behind);
            match line.number {
                Number::Sum => {
                    let (seconds, nanos) = observed.parts();
                    text.push_str(digits.format(seconds));
                    text.push('.');
                    // Nine digits, those in front of the first that is not 0 included.
                    let nanos = digits.format(1_000_000_000 + u64::from(nanos));
                    text.push_str(nanos.get(1..).unwrap_or_default());
                }
                Number::Count => text.push_str(digits.format(observed.count())),
                Number::Bucket(n) => {
                    let count = counts.get(n).copied().unwrap_or_default();
                    text.push_str(digits.format(count));
                }
            }
            text.push('\n');
        }
    }
}

/// A histogram in which nothing was counted.
#[derive(Debug)]
struct Specimen {
    name: &'static str,
    help: &'static str,
}

impl Collector for Specimen {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let unit = Some(&Unit::Seconds);
        let (name, help) = (self.name, self.help);
        let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Histogram)?;
        let buckets: [_; BOUNDS.len() + 1] = Observed::default().buckets();
        metric
            .encode_family(&[MARK])?
            .encode_histogram::<NoLabelSet>(0.0, 0, &buckets, None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::Subject;
    use super::super::histogram::Histogram;
    use super::super::labels::Whose;
    use super::*;
    use crate::tenant::TenantId;
    use proptest::prelude::*;
    use std::time::Duration;

    const NAME: &str = "pgtenant_wait";
    const HELP: &str = "How long";

    /// The same as the crate writes all of it.
    #[derive(Debug)]
    struct Direct(Vec<(Labels, Observed)>);

    impl Collector for Direct {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
            let unit = Some(&Unit::Seconds);
            let mut metric = encoder.encode_descriptor(NAME, HELP, unit, MetricType::Histogram)?;
            for (labels, observed) in &self.0 {
                let (sum, count) = (observed.seconds(), observed.count());
                metric
                    .encode_family(labels)?
                    .encode_histogram::<NoLabelSet>(sum, count, &observed.buckets(), None)?;
            }
            Ok(())
        }
    }

    /// Lines, the numbers at their ends apart, in billionths: times are whole then.
    fn split(text: &str) -> Vec<(&str, Option<f64>)> {
        let billionths = |number: &str| Some((number.parse::<f64>().ok()? * 1e9).round());
        let lines = text.lines().map(|line| match line.rsplit_once(' ') {
            Some((front, number)) if !line.starts_with('#') => (front, billionths(number)),
            _ => (line, None),
        });
        lines.collect()
    }

    proptest! {
        #[test]
        fn it_says_what_the_crate_says(
            tenants in prop::collection::vec(
                (any::<String>(), any::<String>(), prop::collection::vec(0..200_000_000_000_u64, 1..20)),
                0..4,
            ),
        ) {
            let all = tenants.iter().map(|(tenant, database, times)| {
                let whose = Whose::Own(Subject {
                    tenant: TenantId::new(tenant),
                    database: database.as_str().into(),
                });
                let histogram = Histogram::default();
                times.iter().for_each(|time| histogram.observe(Duration::from_nanos(*time)));
                (Labels::of(&whose), histogram.observed())
            });
            let all: Vec<_> = all.collect();
            for format in [Format::OpenMetrics, Format::Prometheus] {
                let (mut ours, mut theirs) = (String::new(), String::new());
                let pairs = all.iter().map(|(labels, observed)| (labels, observed));
                Stencil::new(format, NAME, HELP).write(pairs, &mut ours).expect("a string");
                let mut registry = Registry::default();
                let all = tenants_of(&all);
                registry.register_collector(Box::new(Direct(all)));
                format.encode(&registry, &mut theirs).expect("a string");
                prop_assert_eq!(split(&ours), split(&theirs));
            }
        }
    }

    fn tenants_of(all: &[(Labels, Observed)]) -> Vec<(Labels, Observed)> {
        let all = all.iter();
        all.map(|(labels, observed)| (labels.clone(), *observed))
            .collect()
    }
}
