//! What takes settings away, and what ends a transaction: the tenant must be there
//! again, and nothing of another's shown in between.

use super::{ANY, Attack, Must, Piece, SETTING, Step, Way, attack};
use Piece::{Bind, Execute, Parse, Query, Sync};
use Step::{Bound, Pipeline, Sql};

const fn reset(id: &'static str, way: Way, steps: &'static [Step]) -> Attack {
    attack(id, "P2", ANY, way, Must::Hold, steps)
}

const fn ended(id: &'static str, steps: &'static [Step]) -> Attack {
    attack(id, "P3", ANY, Way::Alone, Must::Hold, steps)
}

const fn believed(id: &'static str, steps: &'static [Step]) -> Attack {
    attack(id, "P7", ANY, Way::Alone, Must::Hold, steps)
}

#[rustfmt::skip]
pub(super) const ATTACKS: &[Attack] = &[
    attack("reset", "P5", SETTING, Way::Both, Must::Hold, &[Sql("RESET {setting}"), Sql("{rows}")]),
    attack("reset-quoted", "P5", SETTING, Way::Both, Must::Hold, &[Sql("RESET {quoted}"), Sql("{rows}")]),
    attack("set-default", "P5", SETTING, Way::Both, Must::Hold, &[Sql("SET {setting} TO DEFAULT"), Sql("{rows}")]),
    attack("set-empty", "P5", SETTING, Way::Both, Must::Hold, &[Sql("SELECT set_config({name}, '', false)"), Sql("{rows}")]),
    reset("reset-all", Way::Both, &[Sql("RESET ALL"), Sql("{rows}")]),
    reset("reset-all-extended", Way::Alone, &[Bound("RESET ALL", &[]), Sql("{rows}")]),
    reset("reset-all-then-rows", Way::Alone, &[Sql("RESET ALL; {rows}")]),
    reset("discard-all", Way::Alone, &[Sql("DISCARD ALL"), Sql("{rows}")]),
    reset("discard-all-then-rows", Way::Alone, &[Sql("DISCARD ALL; {rows}")]),
    reset("discard-plans", Way::Both, &[Sql("DISCARD PLANS; DISCARD SEQUENCES"), Sql("{rows}")]),
    reset("driver-reset", Way::Alone, &[Sql("SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;"), Sql("{rows}")]),
    ended("rollback", &[Sql("BEGIN"), Sql("SELECT 1"), Sql("ROLLBACK"), Sql("{rows}")]),
    ended("rollback-savepoint", &[Sql("BEGIN; SAVEPOINT a"), Sql("SELECT 1/0"), Sql("ROLLBACK TO a"), Sql("{rows}"), Sql("ROLLBACK")]),
    ended("rollback-failed", &[Sql("BEGIN"), Sql("SELECT 1/0"), Sql("ROLLBACK"), Sql("{rows}")]),
    ended("rollback-reset", &[Sql("BEGIN"), Sql("RESET ALL"), Sql("ROLLBACK"), Sql("{rows}")]),
    ended("rollback-and-chain", &[Sql("BEGIN"), Sql("ROLLBACK AND CHAIN"), Sql("{rows}"), Sql("ROLLBACK")]),
    ended("error-in-batch", &[Sql("SELECT 1; SELECT 1/0; SELECT 2"), Sql("{rows}")]),
    believed("bound-before-reset", &[Pipeline(&[
        Parse("tenant_proof", "{rows}"), Bind("p", "tenant_proof"), Parse("", "RESET ALL"), Bind("", ""), Execute(""), Execute("p"), Sync,
    ]), Sql("{rows}")]),
    believed("reset-in-pipeline", &[Pipeline(&[
        Parse("", "RESET ALL"), Bind("", ""), Execute(""), Parse("", "{rows}"), Bind("", ""), Execute(""), Sync,
    ]), Sql("{rows}")]),
    believed("skipped-after-error", &[Pipeline(&[
        Parse("", "SELECT 1/0"), Bind("", ""), Execute(""), Parse("tenant_proof", "RESET ALL"), Bind("", "tenant_proof"), Execute(""), Sync,
    ]), Sql("{rows}")]),
    believed("execute-and-query", &[Pipeline(&[
        Parse("", "SELECT 1"), Bind("", ""), Execute(""), Query("SELECT 2"), Sync,
    ]), Sql("{rows}")]),
];
