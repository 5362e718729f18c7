//! What the process shows of itself by HTTP.

use super::pulse::LIMIT;
use super::{Control, Shared, Stop};
use crate::admin::http::{Check, Format, Observed};
use crate::config::Contact;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// The process, as those see it who watch.
pub(super) struct View {
    pub(super) shared: Arc<Shared>,
    pub(super) control: Control,
    /// Where clients are accepted.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) stop: Stop,
}

impl Observed for View {
    type Shown = Control;

    fn shown(&self) -> &Control {
        &self.control
    }

    async fn liveness(&self) -> Vec<Check> {
        self.shared.liveness().await
    }

    fn readiness(&self) -> Vec<Check> {
        let live = self.shared.live.load();
        let leaves = self.stop.is_leaving();
        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        let mut checks = vec![
            Check::new("listening", !leaves, addresses.join(", ")),
            Check::new("draining", !leaves, if leaves { "yes" } else { "no" }),
        ];
        let directory = &live.directory;
        let known = format!(
            "{} tenants, {} logins",
            directory.tenants().count(),
            directory.len()
        );
        checks.push(match directory.is_complete() {
            true => Check::new("directory", true, known),
            false => Check::new("directory", false, format!("a part is away; {known}")),
        });
        for (isolation, server) in live.isolations.iter() {
            let name = format!("isolation {}", isolation.as_str());
            let contact = self.shared.pools.contact(server).unwrap_or_default();
            let (passes, said) = match contact {
                Contact::Untried => (true, "has not been asked yet".to_owned()),
                Contact::Answered => (true, "answers".to_owned()),
                Contact::Failed(error) => (false, error.to_string()),
            };
            checks.push(Check::new(name, passes, format!("server {server}: {said}")));
        }
        checks
    }

    fn metrics(&self, format: Format, out: &mut dyn fmt::Write) -> fmt::Result {
        self.control.metrics(format, out)
    }
}

impl Shared {
    /// Whether each worker gets on with its work.
    pub(super) async fn liveness(&self) -> Vec<Check> {
        let pulses = self.pulses.get().map(Vec::as_slice).unwrap_or_default();
        // All at once: each is asked now.
        let asked: Vec<_> = pulses
            .iter()
            .map(|pulse| {
                let pulse = pulse.clone();
                tokio::spawn(async move { pulse.beats_within(LIMIT).await })
            })
            .collect();
        let mut checks = Vec::new();
        for (number, asked) in asked.into_iter().enumerate() {
            let answers = asked.await.unwrap_or(false);
            let said = match answers {
                true => "answers".to_owned(),
                false => format!("no answer within {LIMIT:?}"),
            };
            checks.push(Check::new(format!("worker {number}"), answers, said));
        }
        checks
    }
}
