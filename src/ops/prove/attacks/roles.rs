//! The role, and what row-level security and the reading of SQL rest on.

use super::{ANY, Attack, Must, Step, Way, attack};
use Step::Sql;

/// PostgreSQL itself gives nobody another role without the right to it.
const fn role(id: &'static str, way: Way, steps: &'static [Step]) -> Attack {
    attack(id, "P5", ANY, way, Must::HoldOr(&["42501"]), steps)
}

const fn refused(id: &'static str, steps: &'static [Step]) -> Attack {
    attack(id, "P5", ANY, Way::Within, Must::Refuse, steps)
}

#[rustfmt::skip]
pub(super) const ATTACKS: &[Attack] = &[
    role("set-role-none", Way::Both, &[Sql("SET ROLE NONE"), Sql("{rows}")]),
    role("reset-role", Way::Both, &[Sql("RESET ROLE"), Sql("{rows}")]),
    role("set-role", Way::Both, &[Sql("SET ROLE {other_role}"), Sql("{rows}")]),
    role("set-role-quoted", Way::Both, &[Sql("SET \"role\" = {other_role}"), Sql("{rows}")]),
    role("set-role-config", Way::Both, &[Sql("SELECT set_config('role', {other_role_text}, false)"), Sql("{rows}")]),
    role("session-authorization", Way::Both, &[Sql("SET SESSION AUTHORIZATION {other_role}"), Sql("{rows}")]),
    role("session-authorization-default", Way::Both, &[Sql("SET SESSION AUTHORIZATION DEFAULT"), Sql("{rows}")]),
    refused("row-security", &[Sql("SET LOCAL row_security = off")]),
    refused("client-encoding", &[Sql("SET LOCAL client_encoding = 'SJIS'")]),
    refused("string-syntax", &[Sql("SET LOCAL standard_conforming_strings = off")]),
    refused("alter-role-setting", &[Sql("ALTER ROLE CURRENT_USER SET application_name = 'pgtenant prove'")]),
    refused("alter-role-password", &[Sql("ALTER ROLE CURRENT_USER VALID UNTIL 'infinity'")]),
    refused("alter-database", &[Sql("ALTER DATABASE {database} SET application_name = 'pgtenant prove'")]),
    refused("create-policy", &[Sql("CREATE POLICY tenant_proof ON tenant_proof_nowhere USING (true)")]),
    refused("disable-policies", &[Sql("ALTER TABLE tenant_proof_nowhere DISABLE ROW LEVEL SECURITY")]),
    refused("server-files", &[Sql("COPY (SELECT 1) TO PROGRAM 'true'")]),
    refused("read-file", &[Sql("SELECT pg_read_file('PG_VERSION')")]),
    refused("load", &[Sql("LOAD 'tenant_proof_nowhere'")]),
    refused("two-phase", &[Sql("ROLLBACK PREPARED 'tenant_proof_nowhere'")]),
];
