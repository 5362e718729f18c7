//! Telling of the end of the proxy's own certificate, in time.

use super::Shared;
use crate::config::ClientTls;
use crate::x509::Lifetime;
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
        tell(&shared.live.load().tls);
    }
}

/// Tells the log of a certificate that has expired or expires soon.
pub(super) fn tell(tls: &ClientTls) {
    let Some(own) = tls.certificates() else {
        return;
    };
    let Some(lifetime) = Lifetime::of(&own.chain) else {
        return;
    };
    let now = SystemTime::now();
    let file = own.certificate.display();
    if lifetime.has_ended(now) {
        error!(target: "pgtenant::tls", %file, certificate = %lifetime, "the certificate in tls.certificate has expired: clients that verify it cannot connect");
    } else if lifetime.is_ending(now) {
        warn!(target: "pgtenant::tls", %file, certificate = %lifetime, "the certificate in tls.certificate expires soon");
    }
}
