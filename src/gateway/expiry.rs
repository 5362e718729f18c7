//! Telling of the end of certificates, in time.

use super::Shared;
use crate::config::CertificateFile;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tracing::{error, warn};

/// How often it is told again.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Tells at once and then each day.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut days = tokio::time::interval(DAY);
    loop {
        days.tick().await;
        tell(&shared.live.load().certificate_files);
    }
}

/// Tells the log of certificates that have expired or expire soon.
pub(super) fn tell(files: &[CertificateFile]) {
    let now = SystemTime::now();
    for CertificateFile {
        key,
        file,
        lifetime,
    } in files
    {
        let file = file.display();
        if lifetime.has_ended(now) {
            error!(target: "pgtenant::tls", %key, %file, certificate = %lifetime, "a certificate in the file has expired: what verifies it, or by it, cannot connect");
        } else if lifetime.is_ending(now) {
            warn!(target: "pgtenant::tls", %key, %file, certificate = %lifetime, "a certificate in the file expires soon");
        }
    }
}
