//! What is judged by the type of the statement.

use super::expression::{is_temporary_schema, last_name, qualifier, target};
use super::inspection::{Inspection, Place, Scope, Visit};
use super::policy::Own;
use super::rules::{self, Rule};
use super::tree::Stack;
use super::{definitions, prepared, set};
use pg_raw_parse::Node;
use pg_raw_parse::nodes::{
    AlterTableCmd, AlterTableType, CopyStmt, DeclareCursorStmt, DefElem, DropStmt, ExplainStmt,
    GrantStmt, LockStmt, ObjectType, SelectStmt, VariableSetKind,
};

/// Judges a statement, or a part of one that is no expression.
pub(super) fn visit(
    inspection: &mut Inspection<'_>,
    node: Node<'_>,
    scope: Scope,
    place: Place,
) -> Visit {
    if let Some((rule, statement)) = refused(node) {
        inspection.refuse(rule, || {
            format!("{statement} is not allowed through pgtenant")
        });
        if let Node::CreateDomainStmt(statement) = node {
            definitions::new_type(inspection, definitions::schema_of(statement.domainname()));
        }
        inspection.effects.residue |= definitions::leaves_residue(node);
        inspection.effects.locks |= matches!(node, Node::ListenStmt(_));
        inspection.effects.redefines |= matches!(node, Node::RuleStmt(_));
        return match node {
            // What can be seen of it is judged all the same.
            Node::CreateFunctionStmt(_)
            | Node::AlterFunctionStmt(_)
            | Node::CreateDomainStmt(_)
            | Node::AlterDomainStmt(_)
            | Node::CreateTrigStmt(_)
            | Node::RuleStmt(_) => Visit::Descend(scope.max(Scope::Later)),
            _ => Visit::Skip,
        };
    }
    let later = Visit::Descend(scope.max(Scope::Later));
    let effects = &mut inspection.effects;
    match node {
        Node::VariableSetStmt(statement) => set::variable_set(inspection, statement, scope, place),
        Node::DiscardStmt(statement) => set::discard(inspection, statement, place),
        Node::TransactionStmt(statement) => set::transaction(inspection, statement, place),
        Node::CopyStmt(statement) => copy(inspection, statement, scope),
        Node::ExplainStmt(statement) => explain(inspection, statement, scope),
        Node::LockStmt(statement) => lock(inspection, statement, scope),
        Node::TruncateStmt(_) => {
            effects.writes = true;
            Visit::Descend(scope)
        }
        Node::GrantStmt(statement) => grant(inspection, statement),
        Node::DropStmt(statement) => drop_objects(inspection, statement),
        Node::DefineStmt(statement) => definitions::define(inspection, statement),
        Node::AlterTableStmt(_) | Node::IndexStmt(_) => later,
        Node::AlterTableCmd(command) => alter_table(inspection, command, scope),
        Node::CreateStmt(statement) => definitions::create_table(inspection, statement, scope),
        Node::CreateTableAsStmt(statement) => {
            definitions::create_table_as(inspection, statement, scope)
        }
        Node::CreateSeqStmt(statement) => {
            definitions::relation(inspection, statement.sequence());
            later
        }
        Node::ViewStmt(statement) => definitions::create_view(inspection, statement),
        Node::CompositeTypeStmt(statement) => {
            let schema = statement.typevar().and_then(|name| name.schemaname());
            definitions::new_type(inspection, schema);
            later
        }
        Node::CreateEnumStmt(statement) => {
            let schema = definitions::schema_of(statement.type_name());
            definitions::new_type(inspection, schema);
            Visit::Skip
        }
        Node::CreateStatsStmt(statement) => {
            let schema = definitions::schema_of(statement.defnames());
            effects.residue |= schema.is_some_and(is_temporary_schema);
            later
        }
        Node::DeclareCursorStmt(statement) => declare(inspection, statement, scope),
        Node::PrepareStmt(statement) => prepared::prepare(inspection, statement.name(), scope),
        Node::ExecuteStmt(statement) => prepared::execute(inspection, statement.name(), scope),
        Node::CallStmt(_) => {
            effects.doubtful = true;
            Visit::Descend(scope)
        }
        Node::RefreshMatViewStmt(_) => {
            effects.doubtful = true;
            Visit::Skip
        }
        Node::DeallocateStmt(statement) => prepared::deallocate(inspection, statement, place),
        Node::RenameStmt(statement) => {
            effects.redefines |= statement.rename_type != ObjectType::OBJECT_COLUMN;
            Visit::Skip
        }
        Node::AlterEnumStmt(_)
        | Node::AlterCollationStmt(_)
        | Node::AlterObjectSchemaStmt(_)
        | Node::AlterStatsStmt(_)
        | Node::AlterTSConfigurationStmt(_)
        | Node::AlterTSDictionaryStmt(_)
        | Node::ClosePortalStmt(_)
        | Node::CommentStmt(_)
        | Node::ConstraintsSetStmt(_)
        | Node::FetchStmt(_)
        | Node::UnlistenStmt(_)
        | Node::VariableShowStmt(_) => Visit::Skip,
        // Their children decide, or they are unknown to the tree as well.
        _ => Visit::Descend(scope),
    }
}

/// The statements that are refused by their type alone.
fn refused(node: Node<'_>) -> Option<(&'static Rule, &'static str)> {
    Some(match node {
        Node::DoStmt(_) => (&rules::OPAQUE, "DO"),
        Node::CreateFunctionStmt(s) if s.is_procedure => (&rules::OPAQUE, "CREATE PROCEDURE"),
        Node::CreateFunctionStmt(_) => (&rules::OPAQUE, "CREATE FUNCTION"),
        Node::AlterFunctionStmt(_) => (&rules::OPAQUE, "ALTER FUNCTION"),
        Node::CreateDomainStmt(_) => (&rules::HIDDEN, "CREATE DOMAIN"),
        Node::AlterDomainStmt(_) => (&rules::HIDDEN, "ALTER DOMAIN"),
        Node::CreateTrigStmt(_) => (&rules::OPAQUE, "CREATE TRIGGER"),
        Node::RuleStmt(_) => (&rules::OPAQUE, "CREATE RULE"),
        Node::CreateCastStmt(_) => (&rules::OPAQUE, "CREATE CAST"),
        Node::CreateConversionStmt(_) => (&rules::OPAQUE, "CREATE CONVERSION"),
        Node::CreateTransformStmt(_) => (&rules::OPAQUE, "CREATE TRANSFORM"),
        Node::CreateRangeStmt(_) => (&rules::OPAQUE, "CREATE TYPE AS RANGE"),
        Node::CreateOpClassStmt(_) => (&rules::OPAQUE, "CREATE OPERATOR CLASS"),
        Node::CreateOpFamilyStmt(_) => (&rules::OPAQUE, "CREATE OPERATOR FAMILY"),
        Node::AlterOpFamilyStmt(_) => (&rules::OPAQUE, "ALTER OPERATOR FAMILY"),
        Node::AlterOperatorStmt(_) => (&rules::OPAQUE, "ALTER OPERATOR"),
        Node::AlterTypeStmt(_) => (&rules::OPAQUE, "ALTER TYPE"),
        Node::AlterObjectDependsStmt(_) => (&rules::OPAQUE, "DEPENDS ON EXTENSION"),
        Node::CreateAmStmt(_) => (&rules::OPAQUE, "CREATE ACCESS METHOD"),
        Node::CreatePLangStmt(_) => (&rules::OPAQUE, "CREATE LANGUAGE"),
        Node::CreateExtensionStmt(_) => (&rules::OPAQUE, "CREATE EXTENSION"),
        Node::AlterExtensionStmt(_) | Node::AlterExtensionContentsStmt(_) => {
            (&rules::OPAQUE, "ALTER EXTENSION")
        }
        Node::CreateEventTrigStmt(_) => (&rules::OPAQUE, "CREATE EVENT TRIGGER"),
        Node::AlterEventTrigStmt(_) => (&rules::OPAQUE, "ALTER EVENT TRIGGER"),

        Node::CreatePolicyStmt(_) => (&rules::POLICIES, "CREATE POLICY"),
        Node::AlterPolicyStmt(_) => (&rules::POLICIES, "ALTER POLICY"),
        Node::AlterOwnerStmt(_) => (&rules::POLICIES, "OWNER TO"),

        Node::CreateRoleStmt(_) => (&rules::ROLES, "CREATE ROLE"),
        Node::AlterRoleStmt(_) => (&rules::ROLES, "ALTER ROLE"),
        Node::DropRoleStmt(_) => (&rules::ROLES, "DROP ROLE"),
        Node::GrantRoleStmt(_) => (&rules::ROLES, "GRANT or REVOKE of a role"),
        Node::AlterDefaultPrivilegesStmt(_) => (&rules::ROLES, "ALTER DEFAULT PRIVILEGES"),
        Node::ReassignOwnedStmt(_) => (&rules::ROLES, "REASSIGN OWNED"),
        Node::DropOwnedStmt(_) => (&rules::ROLES, "DROP OWNED"),

        Node::AlterRoleSetStmt(_) => (&rules::STORED, "ALTER ROLE ... SET"),
        Node::AlterDatabaseSetStmt(_) => (&rules::STORED, "ALTER DATABASE ... SET"),
        Node::AlterSystemStmt(_) => (&rules::STORED, "ALTER SYSTEM"),

        Node::CreatedbStmt(_) => (&rules::DATABASE, "CREATE DATABASE"),
        Node::AlterDatabaseStmt(_) | Node::AlterDatabaseRefreshCollStmt(_) => {
            (&rules::DATABASE, "ALTER DATABASE")
        }
        Node::DropdbStmt(_) => (&rules::DATABASE, "DROP DATABASE"),
        Node::CreateTableSpaceStmt(_) => (&rules::DATABASE, "CREATE TABLESPACE"),
        Node::AlterTableSpaceOptionsStmt(_) => (&rules::DATABASE, "ALTER TABLESPACE"),
        Node::DropTableSpaceStmt(_) => (&rules::DATABASE, "DROP TABLESPACE"),
        Node::AlterTableMoveAllStmt(_) => (&rules::DATABASE, "ALTER TABLE ALL"),
        Node::CreateFdwStmt(_) => (&rules::DATABASE, "CREATE FOREIGN DATA WRAPPER"),
        Node::AlterFdwStmt(_) => (&rules::DATABASE, "ALTER FOREIGN DATA WRAPPER"),
        Node::CreateForeignServerStmt(_) => (&rules::DATABASE, "CREATE SERVER"),
        Node::AlterForeignServerStmt(_) => (&rules::DATABASE, "ALTER SERVER"),
        Node::CreateUserMappingStmt(_) => (&rules::DATABASE, "CREATE USER MAPPING"),
        Node::AlterUserMappingStmt(_) => (&rules::DATABASE, "ALTER USER MAPPING"),
        Node::DropUserMappingStmt(_) => (&rules::DATABASE, "DROP USER MAPPING"),
        Node::ImportForeignSchemaStmt(_) => (&rules::DATABASE, "IMPORT FOREIGN SCHEMA"),
        Node::CreatePublicationStmt(_) => (&rules::DATABASE, "CREATE PUBLICATION"),
        Node::AlterPublicationStmt(_) => (&rules::DATABASE, "ALTER PUBLICATION"),
        Node::CreateSubscriptionStmt(_) => (&rules::DATABASE, "CREATE SUBSCRIPTION"),
        Node::AlterSubscriptionStmt(_) => (&rules::DATABASE, "ALTER SUBSCRIPTION"),
        Node::DropSubscriptionStmt(_) => (&rules::DATABASE, "DROP SUBSCRIPTION"),
        Node::SecLabelStmt(_) => (&rules::DATABASE, "SECURITY LABEL"),
        Node::CheckPointStmt(_) => (&rules::SERVER, "CHECKPOINT"),
        Node::LoadStmt(_) => (&rules::FILES, "LOAD"),

        Node::ListenStmt(_) => (&rules::NOTIFY, "LISTEN"),
        Node::NotifyStmt(_) => (&rules::NOTIFY, "NOTIFY"),
        _ => return None,
    })
}

/// Whether a statement runs no code but what stands in it, as far as it reads plain
/// tables: no triggers, defaults or constraints, and nothing that was prepared.
pub(super) fn runs_what_it_shows(node: Node<'_>) -> bool {
    match node {
        Node::CopyStmt(statement) => !statement.is_from,
        Node::SelectStmt(_)
        | Node::ClosePortalStmt(_)
        | Node::DeallocateStmt(_)
        | Node::DeclareCursorStmt(_)
        | Node::DiscardStmt(_)
        | Node::ExplainStmt(_)
        | Node::FetchStmt(_)
        | Node::LockStmt(_)
        | Node::PrepareStmt(_)
        | Node::TransactionStmt(_)
        | Node::UnlistenStmt(_)
        | Node::VariableSetStmt(_)
        | Node::VariableShowStmt(_) => true,
        _ => false,
    }
}

/// Whether a statement sees no data: what drivers and pools send behind RESET ALL
/// when they clean a connection, or make one ready.
pub(super) fn is_quiet(node: Node<'_>) -> bool {
    match node {
        Node::ClosePortalStmt(_)
        | Node::DeallocateStmt(_)
        | Node::DiscardStmt(_)
        | Node::UnlistenStmt(_) => true,
        Node::VariableSetStmt(set) => {
            matches!(
                set.kind,
                VariableSetKind::VAR_RESET
                    | VariableSetKind::VAR_RESET_ALL
                    | VariableSetKind::VAR_SET_DEFAULT
            ) || (set.kind == VariableSetKind::VAR_SET_VALUE && !set.is_local)
        }
        Node::SelectStmt(select) => is_unlock_all(select) || is_constant(select),
        _ => false,
    }
}

/// Exactly `SELECT 1`, or more constants.
fn is_constant(select: &SelectStmt) -> bool {
    let mut stack = Stack::new();
    let mut constant = stack.push_children(Node::SelectStmt(select), Scope::Now);
    while let Some((child, _)) = stack.pop() {
        constant &=
            matches!(child, Node::ResTarget(item) if matches!(item.val(), Node::A_Const(_)));
    }
    constant
}

/// Exactly `SELECT pg_advisory_unlock_all()`.
fn is_unlock_all(select: &SelectStmt) -> bool {
    let mut stack = Stack::new();
    let known = stack.push_children(Node::SelectStmt(select), Scope::Now);
    let (Some((Node::ResTarget(item), _)), None) = (stack.pop(), stack.pop()) else {
        return false;
    };
    let Node::FuncCall(call) = item.val() else {
        return false;
    };
    let names = call.funcname();
    known
        && call.args().is_empty()
        && call.agg_order().is_empty()
        && matches!((call.agg_filter(), call.over()), (Node::None, None))
        && matches!(qualifier(names), None | Some("pg_catalog"))
        && last_name(names) == Some("pg_advisory_unlock_all")
}

fn copy(inspection: &mut Inspection<'_>, statement: &CopyStmt, scope: Scope) -> Visit {
    if statement.is_program || statement.filename().is_some() {
        inspection.refuse(&rules::FILES, || {
            "COPY to or from a file or program of the server is not allowed through pgtenant"
                .to_owned()
        });
    }
    if statement.is_from {
        inspection.effects.copies_in = true;
        target(inspection, statement.relation());
    }
    Visit::Descend(scope)
}

/// Where tenants share tables, the counts of the rows that a filter removed tell
/// of the rows of others, value by value.
fn explain(inspection: &mut Inspection<'_>, statement: &ExplainStmt, scope: Scope) -> Visit {
    let runs = |option: &DefElem| option.defname() == Some("analyze") && !set::is_off(option.arg());
    let runs = statement.options().iter().any(runs);
    inspection.counts_rows |= runs;
    if inspection.policy.own == Own::Rows && runs {
        inspection.refuse(&rules::EXPLAIN_ANALYZE, || {
            "EXPLAIN ANALYZE is not allowed through pgtenant".to_owned()
        });
    }
    Visit::Descend(scope)
}

fn lock(inspection: &mut Inspection<'_>, statement: &LockStmt, scope: Scope) -> Visit {
    /// RowExclusiveLock: what every writer takes.
    const STRONGEST: i32 = 3;
    if statement.mode > STRONGEST {
        inspection.refuse(&rules::TABLE_LOCKS, || {
            "LOCK TABLE in this mode is not allowed through pgtenant".to_owned()
        });
    }
    Visit::Descend(scope)
}

fn grant(inspection: &mut Inspection<'_>, statement: &GrantStmt) -> Visit {
    match statement.objtype {
        ObjectType::OBJECT_TABLE
        | ObjectType::OBJECT_COLUMN
        | ObjectType::OBJECT_SEQUENCE
        | ObjectType::OBJECT_SCHEMA
        | ObjectType::OBJECT_FUNCTION
        | ObjectType::OBJECT_PROCEDURE
        | ObjectType::OBJECT_ROUTINE
        | ObjectType::OBJECT_DOMAIN
        | ObjectType::OBJECT_TYPE => {}
        ObjectType::OBJECT_LARGEOBJECT => inspection.refuse(&rules::LARGE_OBJECTS, || {
            "GRANT on a large object is not allowed through pgtenant".to_owned()
        }),
        _ => inspection.refuse(&rules::DATABASE, || {
            "GRANT or REVOKE on this kind of object is not allowed through pgtenant".to_owned()
        }),
    }
    Visit::Skip
}

fn drop_objects(inspection: &mut Inspection<'_>, statement: &DropStmt) -> Visit {
    let rule = match statement.remove_type {
        ObjectType::OBJECT_POLICY => &rules::POLICIES,
        ObjectType::OBJECT_ACCESS_METHOD
        | ObjectType::OBJECT_EVENT_TRIGGER
        | ObjectType::OBJECT_EXTENSION
        | ObjectType::OBJECT_FDW
        | ObjectType::OBJECT_FOREIGN_SERVER
        | ObjectType::OBJECT_LANGUAGE
        | ObjectType::OBJECT_PUBLICATION => &rules::DATABASE,
        _ => return Visit::Skip,
    };
    inspection.refuse(rule, || {
        "DROP of this kind of object is not allowed through pgtenant".to_owned()
    });
    Visit::Skip
}

fn alter_table(inspection: &mut Inspection<'_>, command: &AlterTableCmd, scope: Scope) -> Visit {
    let name = match command.subtype {
        AlterTableType::AT_EnableRowSecurity
        | AlterTableType::AT_DisableRowSecurity
        | AlterTableType::AT_ForceRowSecurity
        | AlterTableType::AT_NoForceRowSecurity => "ROW LEVEL SECURITY",
        AlterTableType::AT_ChangeOwner => "OWNER TO",
        // Its rows may come from a foreign table then.
        AlterTableType::AT_AddInherit | AlterTableType::AT_AttachPartition => {
            inspection.effects.redefines = true;
            return Visit::Descend(scope);
        }
        _ => return Visit::Descend(scope),
    };
    inspection.refuse(&rules::POLICIES, || {
        format!("{name} is not allowed through pgtenant")
    });
    Visit::Descend(scope)
}

fn declare(inspection: &mut Inspection<'_>, statement: &DeclareCursorStmt, scope: Scope) -> Visit {
    /// CURSOR_OPT_HOLD of PostgreSQL's parsenodes.h.
    const HOLD: i32 = 0x20;
    inspection.effects.residue |= statement.options & HOLD != 0;
    Visit::Descend(scope.max(Scope::Later))
}
