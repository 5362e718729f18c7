//! `[log]`

use super::reader::Section;
use super::{Log, LogFormat};
use tracing_subscriber::EnvFilter;

pub(super) fn read(mut section: Section<'_>) -> Log {
    let format = section
        .optional("format")
        .and_then(|entry| entry.choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]));
    let filter = section.optional("filter").and_then(|entry| {
        let filter = entry.text()?;
        if let Err(e) = EnvFilter::try_new(filter) {
            entry.refuse(format!(
                "must be a filter such as \"info\" or \"info,pgtenant=debug\": {e}"
            ));
        }
        Some(filter)
    });
    let log = Log {
        format: format.unwrap_or(LogFormat::Text),
        filter: filter.unwrap_or("info").into(),
    };
    section.finish();
    log
}
