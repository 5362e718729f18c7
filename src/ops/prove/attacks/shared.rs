//! Channels of a database that tenants share: the proxy must refuse them. What they
//! name does not exist, so that nothing happens where it does not.

use super::{Attack, Must, SETTING, SHARED, Step, Way, attack};
use Step::{Call, Sql};

const fn channel(id: &'static str, steps: &'static [Step]) -> Attack {
    attack(id, "P13", SHARED, Way::Within, Must::Refuse, steps)
}

#[rustfmt::skip]
pub(super) const ATTACKS: &[Attack] = &[
    channel("listen", &[Sql("LISTEN tenant_proof")]),
    channel("notify", &[Sql("NOTIFY tenant_proof")]),
    channel("notify-function", &[Sql("SELECT pg_notify('tenant_proof', '')")]),
    channel("large-object", &[Sql("SELECT lo_get(0)")]),
    channel("large-object-attribute", &[Sql("SELECT (0::oid).lo_get")]),
    channel("large-object-fast-path", &[Call("lo_open", &["0", "262144"])]),
    channel("large-object-catalog", &[Sql("SELECT oid FROM pg_largeobject_metadata WHERE oid = 0")]),
    channel("advisory-lock", &[Sql("SELECT pg_try_advisory_xact_lock_shared(7236412305)")]),
    channel("advisory-lock-attribute", &[Sql("SELECT (7236412305::bigint).pg_try_advisory_xact_lock_shared")]),
    channel("session-functions", &[Sql("SELECT count(*) FROM pg_stat_get_activity(0)")]),
    channel("session-functions-ids", &[Sql("SELECT count(*) FROM pg_stat_get_backend_idset()")]),
    channel("statements-of-all", &[Sql("SELECT count(*) FROM pg_stat_statements LIMIT 0")]),
    channel("sessions-explained", &[Sql("EXPLAIN (ANALYZE, COSTS OFF) SELECT 1 FROM pg_stat_activity WHERE false")]),
    attack("explain-analyze", "P13", SETTING, Way::Within, Must::Refuse, &[Sql("EXPLAIN (ANALYZE, COSTS OFF) SELECT 1")]),
    attack("lock-table", "P13", SETTING, Way::Within, Must::Refuse, &[Sql("LOCK TABLE tenant_proof_nowhere IN ACCESS EXCLUSIVE MODE NOWAIT")]),
    attack("statistics", "P13", SETTING, Way::Within, Must::Refuse, &[Sql("SELECT 1 FROM pg_stats LIMIT 0")]),
    attack("statistics-transaction", "P13", SETTING, Way::Within, Must::Refuse, &[Sql("SELECT 1 FROM pg_stat_xact_user_tables LIMIT 0")]),
];
