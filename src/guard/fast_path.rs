//! FunctionCall messages: they name a function by its OID, which for PostgreSQL's own
//! is the same in every release.

use super::inspection::Inspection;
use super::{Guard, Refusal, Verdict, rules};
use std::sync::Arc;

/// The functions on large objects that drivers call so, with their OIDs in pg_proc
/// (PostgreSQL 15 to 18). Those that take a file of the server are not among them.
const LARGE_OBJECTS: &[(u32, &str)] = &[
    (715, "lo_create"),
    (952, "lo_open"),
    (953, "lo_close"),
    (954, "loread"),
    (955, "lowrite"),
    (956, "lo_lseek"),
    (957, "lo_creat"),
    (958, "lo_tell"),
    (964, "lo_unlink"),
    (1004, "lo_truncate"),
    (3170, "lo_lseek64"),
    (3171, "lo_tell64"),
    (3172, "lo_truncate64"),
    (3457, "lo_from_bytea"),
    (3458, "lo_get"),
    (3459, "lo_get"),
    (3460, "lo_put"),
];

impl Guard {
    /// The verdict on a FunctionCall of the function with this OID.
    ///
    /// # Errors
    /// What it is refused with in every mode: what the function does is not known.
    pub fn function_call(&self, oid: u32) -> Result<Arc<Verdict>, Refusal> {
        let Ok(at) = LARGE_OBJECTS.binary_search_by_key(&oid, |(known, _)| *known) else {
            let message = format!("pgtenant does not forward a FunctionCall of the function {oid}");
            return Err(rules::FAST_PATH.refusal(message));
        };
        let name = LARGE_OBJECTS.get(at).map_or("", |(_, name)| *name);
        let mut inspection = Inspection::new(&self.policy, None);
        inspection.refuse(&rules::LARGE_OBJECTS, || {
            format!("function {name} is not allowed through pgtenant")
        });
        Ok(Arc::new(inspection.judgement(None).verdict))
    }
}
