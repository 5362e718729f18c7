//! What is judged wherever it stands: calls, names of columns that are calls,
//! operators, relations.

use super::folding::{folded, is_certain};
use super::functions::{self, Call};
use super::inspection::{Inspection, Scope, Visit};
use super::parameters::{Operand, SetConfig};
use super::rules;
use super::settings::{self, Change, Objection, clip};
use super::{own_rows, plain, relations, restriction};
use pg_raw_parse::nodes::{FuncCall, RangeVar, TypeCast};
use pg_raw_parse::{ConstValue, Node, list::NodeList};

/// Judges a node of an expression or a query; `None`: it is neither.
pub(super) fn visit(
    inspection: &mut Inspection<'_>,
    node: Node<'_>,
    scope: Scope,
) -> Option<Visit> {
    match node {
        Node::A_Const(_) | Node::String(_) | Node::ParamRef(_) | Node::A_Star(_) => {
            return Some(Visit::Skip);
        }
        Node::ColumnRef(column) => {
            let fields = column.fields();
            if fields.len() > 1 {
                attribute(inspection, last_name(fields));
            }
            return Some(Visit::Skip);
        }
        Node::RangeVar(relation) => {
            reference(inspection, relation, scope);
            return Some(Visit::Skip);
        }
        Node::ResTarget(_)
        | Node::NodeList(_)
        | Node::BoolExpr(_)
        | Node::TypeCast(_)
        | Node::TypeName(_) => {}
        Node::FuncCall(call) => function(inspection, call, scope),
        Node::A_Indirection(path) => {
            for field in path.indirection() {
                attribute(inspection, field.as_str());
            }
        }
        Node::A_Expr(expression) => operator(inspection, expression.name()),
        Node::SortBy(sort) => operator(inspection, sort.use_op()),
        Node::SubLink(link) => operator(inspection, link.oper_name()),
        Node::RangeTableSample(sample) => {
            if !matches!(last_name(sample.method()), Some("bernoulli" | "system")) {
                inspection.effects.doubtful = true;
            }
        }
        Node::SelectStmt(select) if scope == Scope::Now && restriction::is_set_by(select) => {
            inspection.reads_literals();
            inspection.set(restriction::SETTING, false);
            // The tenant is attached anew: the view may be hidden by a table.
            inspection.effects.doubtful = true;
            return Some(Visit::Skip);
        }
        Node::SelectStmt(select) if scope < Scope::View && own_rows::is_asked_by(select) => {
            inspection.reads_literals();
            if inspection.counts_rows {
                inspection.refuse(&rules::SESSIONS, || {
                    "EXPLAIN ANALYZE over a view of all sessions is not allowed through pgtenant"
                        .to_owned()
                });
            }
            return Some(Visit::Skip);
        }
        Node::SelectStmt(select) => {
            if let Some(into) = select.into_clause().and_then(|into| into.rel())
                && is_temporary(into)
            {
                leaves(inspection, into);
            }
        }
        Node::InsertStmt(statement) => target(inspection, statement.relation()),
        Node::UpdateStmt(statement) => target(inspection, statement.relation()),
        Node::DeleteStmt(statement) => target(inspection, statement.relation()),
        Node::MergeStmt(statement) => target(inspection, statement.relation()),
        _ => return None,
    }
    Some(Visit::Descend(scope))
}

/// Whether a statement is a query or a change of rows: of these the guard reads
/// no literal, unless a call asks for it.
pub(super) fn is_query(statement: Node<'_>) -> bool {
    matches!(
        statement,
        Node::SelectStmt(_)
            | Node::InsertStmt(_)
            | Node::UpdateStmt(_)
            | Node::DeleteStmt(_)
            | Node::MergeStmt(_)
    )
}

/// Whether `relation` is created in, or named in, the temporary schema.
pub(super) fn is_temporary(relation: &RangeVar) -> bool {
    let temporary = u8::try_from(relation.relpersistence) == Ok(b't');
    temporary || relation.schemaname().is_some_and(is_temporary_schema)
}

/// Notes that a temporary relation stays in the session.
pub(super) fn leaves(inspection: &mut Inspection<'_>, relation: &RangeVar) {
    let effects = &mut inspection.effects;
    effects.residue = true;
    let name = relation.relname().unwrap_or_default();
    effects.temporary.push(name.into());
    if !is_certain(name) {
        effects.temporary.push(folded(name).into());
    }
}

/// Whether `schema` names a temporary schema.
pub(super) fn is_temporary_schema(schema: &str) -> bool {
    schema.starts_with("pg_temp")
}

/// Notes that rows are written, and refuses to write to pg_settings.
pub(super) fn target(inspection: &mut Inspection<'_>, relation: Option<&RangeVar>) {
    inspection.effects.writes = true;
    if relation
        .and_then(RangeVar::relname)
        .is_some_and(relations::is_pg_settings)
    {
        inspection.refuse(&rules::PG_SETTINGS, || {
            "pg_settings cannot be changed through pgtenant".to_owned()
        });
    }
}

fn reference(inspection: &mut Inspection<'_>, relation: &RangeVar, scope: Scope) {
    let Some(name) = relation.relname() else {
        return;
    };
    if let Some(plain) = inspection.plain {
        inspection.names_others |= !plain::is_plain(plain, relation);
    }
    if let Some(rule) = relations::rule(name) {
        inspection.refuse(rule, || {
            format!("access to {name} is not allowed through pgtenant")
        });
    }
    if scope == Scope::View && relations::is_pg_settings(name) {
        inspection.refuse(&rules::PG_SETTINGS, || {
            "a view over pg_settings cannot be created through pgtenant".to_owned()
        });
    }
}

fn function(inspection: &mut Inspection<'_>, call: &FuncCall, scope: Scope) {
    let names = call.funcname();
    let Some(name) = last_name(names) else {
        return inspection.refuse(&rules::UNKNOWN, || "a function without a name".to_owned());
    };
    let schema = qualifier(names);
    match functions::call(name) {
        Some(Call::SetConfig) => set_config(inspection, call, scope),
        Some(Call::Lock(rule)) => {
            inspection.effects.locks = true;
            inspection.refuse(rule, || not_allowed(name));
        }
        Some(Call::Seed) => inspection.effects.seeds = true,
        Some(Call::Draw) => inspection.effects.draws = true,
        // With three arguments it takes no text.
        Some(Call::Caught(_)) if name == "ts_rewrite" && call.args().len() == 3 => {}
        Some(Call::Caught(_)) if own_rows::is_blocked_by_none(call) => inspection.reads_literals(),
        Some(Call::Caught(rule)) => inspection.refuse(rule, || not_allowed(name)),
        None => {}
    }
    if let Some(rule) = schema.and_then(|schema| functions::schema(schema, name)) {
        inspection.refuse(rule, || not_allowed(name));
    }
    let postgresqls = match schema {
        None | Some("pg_catalog") => functions::is_builtin(name),
        Some(schema) => schema == "information_schema",
    };
    inspection.effects.doubtful |= !postgresqls;
}

/// `x.f` calls the function `f` on `x` when `x` has no such column: no call
/// stands in the tree.
fn attribute(inspection: &mut Inspection<'_>, name: Option<&str>) {
    let Some(name) = name else {
        return;
    };
    match functions::call(name) {
        Some(Call::SetConfig) => inspection.refuse(&rules::COMPUTED, || not_allowed(name)),
        Some(Call::Lock(rule)) => {
            inspection.effects.locks = true;
            inspection.refuse(rule, || not_allowed(name));
        }
        Some(Call::Seed) => inspection.effects.seeds = true,
        Some(Call::Draw) => inspection.effects.draws = true,
        Some(Call::Caught(rule)) => inspection.refuse(rule, || not_allowed(name)),
        None => {}
    }
}

fn not_allowed(function: &str) -> String {
    format!(
        "function {} is not allowed through pgtenant",
        clip(function)
    )
}

fn operator(inspection: &mut Inspection<'_>, names: &NodeList) {
    let Some(name) = last_name(names) else {
        return;
    };
    let own = qualifier(names).is_some_and(|schema| schema != "pg_catalog");
    // BETWEEN and its like are words.
    let word = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if own || !(word || functions::is_builtin_operator(name)) {
        inspection.effects.doubtful = true;
    }
}

fn set_config(inspection: &mut Inspection<'_>, call: &FuncCall, scope: Scope) {
    inspection.reads_literals();
    let args = call.args();
    let name = match Operand::of(args.first()) {
        name if args.len() == 3 && !call.func_variadic => name,
        _ => Operand::Computed,
    };
    let value = Operand::of(args.get(1));
    let lasts = !args.get(2).is_some_and(is_true);
    if scope != Scope::Now && name != Operand::Computed {
        inspection.refuse(&rules::DEFERRED, || {
            "set_config cannot be called in a definition".to_owned()
        });
    }
    let name = match name {
        Operand::Constant(name) => name.to_ascii_lowercase(),
        Operand::Parameter(_) => return inspection.defer(SetConfig::new(name, value, lasts)),
        Operand::Computed => {
            inspection.effects.settings = super::TouchedSettings::Any;
            return inspection.refuse(&rules::COMPUTED, || {
                "the first argument of set_config is not a constant".to_owned()
            });
        }
    };
    let change = match &value {
        Operand::Constant(value) => Change::Text(value),
        _ => Change::Computed,
    };
    match settings::objection(inspection.policy, &name, change) {
        Some(Objection::Refused(rule, _))
            if *rule == rules::COMPUTED && matches!(value, Operand::Parameter(_)) =>
        {
            let name = Operand::Constant(name.into());
            return inspection.defer(SetConfig::new(name, value, lasts));
        }
        Some(objection) => inspection.object(objection),
        None => {}
    }
    inspection.set(&name, !lasts);
    if let Operand::Constant(value) = &value {
        inspection.set_date_style(&name, value, !lasts);
    }
}

/// The text of a constant, also with a cast to text.
pub(super) fn constant(node: Node<'_>) -> Option<&str> {
    match node {
        Node::A_Const(value) => match value.val() {
            Some(ConstValue::String(text)) => Some(text),
            _ => None,
        },
        Node::TypeCast(cast) if is_text(cast) => match cast.arg() {
            arg @ Node::A_Const(_) => constant(arg),
            _ => None,
        },
        _ => None,
    }
}

/// Whether it is a cast to PostgreSQL's own type text.
pub(super) fn is_text(cast: &TypeCast) -> bool {
    let Some(name) = cast.type_name() else {
        return false;
    };
    let mut names = name.names().iter().rev().map(|name| name.sval());
    let text = names.next() == Some(Some("text"));
    let own = match (names.next(), names.next()) {
        (None, _) => true,
        (Some(schema), None) => schema == Some("pg_catalog"),
        _ => false,
    };
    text && own && name.array_bounds().is_empty() && name.typmods().is_empty() && !name.setof
}

fn is_true(node: Node<'_>) -> bool {
    match node {
        Node::A_Const(value) => matches!(value.val(), Some(ConstValue::Boolean(true))),
        _ => false,
    }
}

/// The last part of a name.
pub(super) fn last_name(names: &NodeList) -> Option<&str> {
    names.get(names.len().checked_sub(1)?)?.as_str()
}

/// The schema of a name with a schema.
pub(super) fn qualifier(names: &NodeList) -> Option<&str> {
    names.get(names.len().checked_sub(2)?)?.as_str()
}
