//! What is judged by the type of the statement.

use super::expression::{is_temporary, is_temporary_schema, last_name, leaves, qualifier, target};
use super::inspection::{Inspection, Place, Scope, Visit};
use super::prepared::{self, SqlName};
use super::rules::{self, Rule};
use super::settings::{self, Change};
use super::tree::Stack;
use pg_raw_parse::nodes::{
    AlterTableCmd, AlterTableType, CopyStmt, CreateStmt, CreateTableAsStmt, DeclareCursorStmt,
    DefineStmt, DiscardMode, DiscardStmt, DropStmt, GrantStmt, LockStmt, ObjectType,
    OnCommitAction, SelectStmt, TransactionStmt, TransactionStmtKind, VariableSetKind,
    VariableSetStmt,
};
use pg_raw_parse::{ConstValue, Node, list::CastNodeList, nodes};

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
        inspection.effects.residue |= leaves_residue(node);
        inspection.effects.locks |= matches!(node, Node::ListenStmt(_));
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
        Node::VariableSetStmt(set) => variable_set(inspection, set, scope, place),
        Node::DiscardStmt(statement) => discard(inspection, statement, place),
        Node::TransactionStmt(statement) => transaction(inspection, statement),
        Node::CopyStmt(statement) => copy(inspection, statement, scope),
        Node::LockStmt(statement) => lock(inspection, statement, scope),
        Node::TruncateStmt(_) => {
            effects.writes = true;
            Visit::Descend(scope)
        }
        Node::GrantStmt(statement) => grant(inspection, statement),
        Node::DropStmt(statement) => drop_objects(inspection, statement),
        Node::DefineStmt(statement) => define(inspection, statement),
        Node::AlterTableStmt(_) | Node::IndexStmt(_) | Node::CreateStatsStmt(_) => later,
        Node::AlterTableCmd(command) => alter_table(inspection, command, scope),
        Node::CreateStmt(statement) => create_table(inspection, statement, scope),
        Node::CreateTableAsStmt(statement) => create_table_as(inspection, statement, scope),
        Node::CreateSeqStmt(statement) => {
            if let Some(sequence) = statement.sequence().filter(|s| is_temporary(s)) {
                leaves(inspection, sequence);
            }
            later
        }
        Node::ViewStmt(statement) => {
            if let Some(view) = statement.view().filter(|view| is_temporary(view)) {
                leaves(inspection, view);
                inspection.refuse(&rules::OPAQUE, || {
                    "CREATE TEMPORARY VIEW is not allowed through pgtenant".to_owned()
                });
            }
            Visit::Descend(Scope::View)
        }
        Node::CompositeTypeStmt(statement) => {
            let schema = statement.typevar().and_then(|name| name.schemaname());
            new_type(inspection, schema);
            later
        }
        Node::CreateEnumStmt(statement) => {
            new_type(inspection, schema_of(statement.type_name()));
            Visit::Skip
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
        | Node::RenameStmt(_)
        | Node::UnlistenStmt(_)
        | Node::VariableShowStmt(_) => Visit::Skip,
        // Their children decide, or they are unknown to the tree as well.
        _ => Visit::Descend(scope),
    }
}

/// What a statement that is refused by its type leaves in the session, where
/// it is let through.
fn leaves_residue(node: Node<'_>) -> bool {
    let schema = match node {
        Node::LoadStmt(_) => return true,
        Node::CreateDomainStmt(statement) => schema_of(statement.domainname()),
        Node::CreateFunctionStmt(statement) => qualifier(statement.funcname()),
        _ => None,
    };
    schema.is_some_and(is_temporary_schema)
}

/// The statements that are refused by their type alone.
fn refused(node: Node<'_>) -> Option<(&'static Rule, &'static str)> {
    Some(match node {
        Node::DoStmt(_) => (&rules::OPAQUE, "DO"),
        Node::CreateFunctionStmt(s) if s.is_procedure => (&rules::OPAQUE, "CREATE PROCEDURE"),
        Node::CreateFunctionStmt(_) => (&rules::OPAQUE, "CREATE FUNCTION"),
        Node::AlterFunctionStmt(_) => (&rules::OPAQUE, "ALTER FUNCTION"),
        Node::CreateDomainStmt(_) => (&rules::OPAQUE, "CREATE DOMAIN"),
        Node::AlterDomainStmt(_) => (&rules::OPAQUE, "ALTER DOMAIN"),
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

fn variable_set(
    inspection: &mut Inspection<'_>,
    set: &VariableSetStmt,
    scope: Scope,
    place: Place,
) -> Visit {
    match set.kind {
        // As a clause of a function it changes nothing now.
        VariableSetKind::VAR_RESET_ALL if scope != Scope::Now => {}
        VariableSetKind::VAR_RESET_ALL => reset_all(inspection, "RESET ALL", place),
        VariableSetKind::VAR_SET_MULTI => set_transaction(inspection, set),
        // DISCARD ALL does the same.
        kind if returns_to_default(set, kind) && scope == Scope::Now => {
            reset_all(inspection, "SET SESSION AUTHORIZATION DEFAULT", place);
        }
        kind => {
            let name = set.name().unwrap_or_default().to_ascii_lowercase();
            let values;
            let change = match kind {
                VariableSetKind::VAR_SET_VALUE => {
                    values = set.args().iter().map(value).collect::<Vec<_>>();
                    Change::List(&values)
                }
                _ => Change::Default,
            };
            if let Some((rule, message)) = settings::refusal(inspection.policy, &name, change) {
                inspection.refuse(rule, || message);
            }
            let returns = matches!(
                kind,
                VariableSetKind::VAR_SET_DEFAULT | VariableSetKind::VAR_RESET
            );
            if scope == Scope::Now && returns {
                inspection.return_to_default(&name, set.is_local, place);
            } else if scope == Scope::Now {
                inspection.set(&name, set.is_local);
            }
        }
    }
    Visit::Skip
}

/// `SET SESSION AUTHORIZATION DEFAULT` or `RESET SESSION AUTHORIZATION`.
fn returns_to_default(set: &VariableSetStmt, kind: VariableSetKind::Type) -> bool {
    matches!(
        kind,
        VariableSetKind::VAR_SET_DEFAULT | VariableSetKind::VAR_RESET
    ) && !set.is_local
        && set.name() == Some("session_authorization")
}

/// Whether a statement sees no data and changes no setting but to its default:
/// what drivers send behind RESET ALL when they clean a connection.
pub(super) fn is_quiet(node: Node<'_>) -> bool {
    match node {
        Node::ClosePortalStmt(_)
        | Node::DeallocateStmt(_)
        | Node::DiscardStmt(_)
        | Node::UnlistenStmt(_) => true,
        Node::VariableSetStmt(set) => matches!(
            set.kind,
            VariableSetKind::VAR_RESET
                | VariableSetKind::VAR_RESET_ALL
                | VariableSetKind::VAR_SET_DEFAULT
        ),
        Node::SelectStmt(select) => is_unlock_all(select),
        _ => false,
    }
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

/// One item of a SET statement's list, as text.
fn value(node: Node<'_>) -> String {
    match node {
        Node::A_Const(value) => match value.val() {
            Some(ConstValue::String(text) | ConstValue::Float(text)) => text.to_owned(),
            Some(ConstValue::Integer(number)) => number.to_string(),
            Some(ConstValue::Boolean(value)) => value.to_string(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

fn reset_all(inspection: &mut Inspection<'_>, statement: &str, place: Place) {
    inspection.effects.resets = true;
    if !place.last {
        inspection.refuse(&rules::RESET_ALL, || {
            format!("{statement} must stand at the end of its query string")
        });
    }
}

/// `SET TRANSACTION` ends with its transaction; `SET SESSION CHARACTERISTICS`
/// sets the defaults of the session.
fn set_transaction(inspection: &mut Inspection<'_>, set: &VariableSetStmt) {
    transaction_modes(inspection, set.args().iter());
    match set.name() {
        Some("TRANSACTION" | "TRANSACTION SNAPSHOT") => {}
        Some("SESSION CHARACTERISTICS") => {
            for item in set.args() {
                if let Node::DefElem(item) = item {
                    let name = item.defname().unwrap_or_default();
                    inspection.touch(&format!("default_{name}"));
                }
            }
        }
        _ => inspection.refuse(&rules::UNKNOWN, || {
            "pgtenant does not know this kind of SET".to_owned()
        }),
    }
}

/// `READ WRITE`, which a read-only tenant has not got.
fn transaction_modes<'a>(inspection: &mut Inspection<'_>, modes: impl Iterator<Item = Node<'a>>) {
    if !inspection.policy.read_only {
        return;
    }
    for mode in modes {
        let Node::DefElem(mode) = mode else { continue };
        if mode.defname() == Some("transaction_read_only") && value(mode.arg()) != "1" {
            inspection.refuse(&rules::READ_ONLY, || {
                "READ WRITE is not allowed: the tenant may only read".to_owned()
            });
        }
    }
}

fn discard(inspection: &mut Inspection<'_>, statement: &DiscardStmt, place: Place) -> Visit {
    inspection.effects.drops_temporary |= matches!(
        statement.target,
        DiscardMode::DISCARD_ALL | DiscardMode::DISCARD_TEMP
    );
    if statement.target == DiscardMode::DISCARD_ALL {
        reset_all(inspection, "DISCARD ALL", place);
        inspection.effects.drops_prepared = true;
        inspection.effects.clears_residue = true;
        inspection.effects.sql_names.push(SqlName::DeallocateAll);
    }
    Visit::Skip
}

fn transaction(inspection: &mut Inspection<'_>, statement: &TransactionStmt) -> Visit {
    let name = match statement.kind {
        TransactionStmtKind::TRANS_STMT_PREPARE => "PREPARE TRANSACTION",
        TransactionStmtKind::TRANS_STMT_COMMIT_PREPARED => "COMMIT PREPARED",
        TransactionStmtKind::TRANS_STMT_ROLLBACK_PREPARED => "ROLLBACK PREPARED",
        _ => {
            transaction_modes(inspection, statement.options().iter());
            return Visit::Skip;
        }
    };
    inspection.refuse(&rules::TWO_PHASE, || {
        format!("{name} is not allowed through pgtenant")
    });
    Visit::Skip
}

fn copy(inspection: &mut Inspection<'_>, statement: &CopyStmt, scope: Scope) -> Visit {
    if statement.is_program || statement.filename().is_some() {
        inspection.refuse(&rules::FILES, || {
            "COPY to or from a file or program of the server is not allowed through pgtenant"
                .to_owned()
        });
    }
    if statement.is_from {
        target(inspection, statement.relation());
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

fn define(inspection: &mut Inspection<'_>, statement: &DefineStmt) -> Visit {
    match statement.kind {
        ObjectType::OBJECT_COLLATION
        | ObjectType::OBJECT_TSCONFIGURATION
        | ObjectType::OBJECT_TSDICTIONARY => new_type(inspection, schema_of(statement.defnames())),
        kind => {
            let name = match kind {
                ObjectType::OBJECT_AGGREGATE => "CREATE AGGREGATE",
                ObjectType::OBJECT_OPERATOR => "CREATE OPERATOR",
                ObjectType::OBJECT_TYPE => "CREATE TYPE",
                _ => "a definition of this kind",
            };
            let schema = schema_of(statement.defnames());
            inspection.effects.residue |= schema.is_some_and(is_temporary_schema);
            inspection.refuse(&rules::OPAQUE, || {
                format!("{name} is not allowed through pgtenant")
            });
        }
    }
    Visit::Skip
}

/// A type in pg_temp hides PostgreSQL's own type of that name.
fn new_type(inspection: &mut Inspection<'_>, schema: Option<&str>) {
    if schema.is_some_and(is_temporary_schema) {
        inspection.effects.residue = true;
        inspection.refuse(&rules::OPAQUE, || {
            "a temporary type is not allowed through pgtenant".to_owned()
        });
    }
}

fn schema_of(names: &CastNodeList<nodes::String>) -> Option<&str> {
    let at = names.len().checked_sub(2)?;
    names.iter().nth(at)?.sval()
}

fn alter_table(inspection: &mut Inspection<'_>, command: &AlterTableCmd, scope: Scope) -> Visit {
    let name = match command.subtype {
        AlterTableType::AT_EnableRowSecurity
        | AlterTableType::AT_DisableRowSecurity
        | AlterTableType::AT_ForceRowSecurity
        | AlterTableType::AT_NoForceRowSecurity => "ROW LEVEL SECURITY",
        AlterTableType::AT_ChangeOwner => "OWNER TO",
        _ => return Visit::Descend(scope),
    };
    inspection.refuse(&rules::POLICIES, || {
        format!("{name} is not allowed through pgtenant")
    });
    Visit::Descend(scope)
}

fn create_table(inspection: &mut Inspection<'_>, statement: &CreateStmt, scope: Scope) -> Visit {
    let relation = statement.relation().filter(|table| is_temporary(table));
    if let Some(relation) = relation
        && statement.oncommit != OnCommitAction::ONCOMMIT_DROP
    {
        leaves(inspection, relation);
    }
    Visit::Descend(scope.max(Scope::Later))
}

fn create_table_as(
    inspection: &mut Inspection<'_>,
    statement: &CreateTableAsStmt,
    scope: Scope,
) -> Visit {
    if statement.objtype == ObjectType::OBJECT_MATVIEW {
        return Visit::Descend(Scope::View);
    }
    if let Some(into) = statement.into()
        && let Some(relation) = into.rel().filter(|table| is_temporary(table))
        && into.on_commit != OnCommitAction::ONCOMMIT_DROP
    {
        leaves(inspection, relation);
    }
    Visit::Descend(scope)
}

fn declare(inspection: &mut Inspection<'_>, statement: &DeclareCursorStmt, scope: Scope) -> Visit {
    /// CURSOR_OPT_HOLD of PostgreSQL's parsenodes.h.
    const HOLD: i32 = 0x20;
    inspection.effects.residue |= statement.options & HOLD != 0;
    Visit::Descend(scope.max(Scope::Later))
}
