//! The children of every node of the grammar, for a walk with an explicit stack.
//!
//! Recursion would end the process on an expression of some ten thousand terms,
//! and PostgreSQL's own walker knows few utility statements.

use super::inspection::Scope;
use pg_raw_parse::Node;

/// The nodes that are still to be visited.
pub(super) struct Stack<'t> {
    nodes: Vec<(Node<'t>, Scope)>,
}

impl<'t> Stack<'t> {
    pub(super) fn new() -> Self {
        Self {
            nodes: Vec::with_capacity(32),
        }
    }

    pub(super) fn push(&mut self, node: impl Into<Node<'t>>, scope: Scope) {
        match node.into() {
            Node::None => {}
            node => self.nodes.push((node, scope)),
        }
    }

    pub(super) fn pop(&mut self) -> Option<(Node<'t>, Scope)> {
        self.nodes.pop()
    }

    /// Pushes the children of `node`. `false`: nodes of this type are unknown.
    #[must_use]
    pub(super) fn push_children(&mut self, node: Node<'t>, scope: Scope) -> bool {
        Children { stack: self, scope }.of(node)
    }
}

struct Children<'s, 't> {
    stack: &'s mut Stack<'t>,
    scope: Scope,
}

impl<'t> Children<'_, 't> {
    fn one(&mut self, node: impl Into<Node<'t>>) -> &mut Self {
        self.stack.push(node, self.scope);
        self
    }

    fn all<N: Into<Node<'t>>>(&mut self, list: impl IntoIterator<Item = N>) -> &mut Self {
        for node in list {
            self.stack.push(node, self.scope);
        }
        self
    }

    fn of(&mut self, node: Node<'t>) -> bool {
        self.of_expression(node)
            || self.of_query(node)
            || self.of_json(node)
            || self.of_utility(node)
    }

    fn of_expression(&mut self, node: Node<'t>) -> bool {
        match node {
            Node::None
            | Node::A_Const(_)
            | Node::A_Star(_)
            | Node::Alias(_)
            | Node::BitString(_)
            | Node::Boolean(_)
            | Node::ColumnRef(_)
            | Node::CurrentOfExpr(_)
            | Node::Float(_)
            | Node::Integer(_)
            | Node::MergeSupportFunc(_)
            | Node::ParamRef(_)
            | Node::RoleSpec(_)
            | Node::SetToDefault(_)
            | Node::SQLValueFunction(_)
            | Node::String(_) => self,
            Node::NodeList(list) => self.all(list),
            Node::A_Expr(e) => self.one(e.lexpr()).one(e.rexpr()),
            Node::BoolExpr(e) => self.all(e.args()),
            Node::FuncCall(f) => self
                .all(f.args())
                .all(f.agg_order())
                .one(f.agg_filter())
                .one(f.over()),
            Node::NamedArgExpr(e) => self.one(e.arg()),
            Node::TypeCast(e) => self.one(e.arg()).one(e.type_name()),
            Node::TypeName(t) => self.all(t.typmods()).all(t.array_bounds()),
            Node::CollateClause(e) => self.one(e.arg()),
            Node::SubLink(e) => self.one(e.testexpr()).one(e.subselect()),
            Node::CaseExpr(e) => self.one(e.arg()).all(e.args()).one(e.defresult()),
            Node::CaseWhen(e) => self.one(e.expr()).one(e.result()),
            Node::RowExpr(e) => self.all(e.args()),
            Node::CoalesceExpr(e) => self.all(e.args()),
            Node::MinMaxExpr(e) => self.all(e.args()),
            Node::NullTest(e) => self.one(e.arg()),
            Node::BooleanTest(e) => self.one(e.arg()),
            Node::A_ArrayExpr(e) => self.all(e.elements()),
            Node::A_Indices(e) => self.one(e.lidx()).one(e.uidx()),
            Node::A_Indirection(e) => self.one(e.arg()).all(e.indirection()),
            Node::GroupingFunc(e) => self.all(e.args()),
            Node::MultiAssignRef(e) => self.one(e.source()),
            Node::XmlExpr(e) => self.all(e.named_args()).all(e.args()),
            Node::XmlSerialize(e) => self.one(e.expr()).one(e.type_name()),
            Node::ReturningExpr(e) => self.one(e.retexpr()),
            _ => return false,
        };
        true
    }

    fn of_query(&mut self, node: Node<'t>) -> bool {
        match node {
            Node::ReturningOption(_) => self,
            Node::RangeVar(r) => self.one(r.alias()),
            Node::ResTarget(r) => self.all(r.indirection()).one(r.val()),
            Node::SelectStmt(s) => self
                .all(s.distinct_clause())
                .one(s.into_clause())
                .all(s.target_list())
                .all(s.from_clause())
                .one(s.where_clause())
                .all(s.group_clause())
                .one(s.having_clause())
                .all(s.window_clause())
                .all(s.values_lists())
                .all(s.sort_clause())
                .one(s.limit_offset())
                .one(s.limit_count())
                .all(s.locking_clause())
                .one(s.with_clause())
                .one(s.larg())
                .one(s.rarg()),
            Node::InsertStmt(s) => self
                .one(s.relation())
                .all(s.cols())
                .one(s.select_stmt())
                .one(s.on_conflict_clause())
                .one(s.returning_clause())
                .one(s.with_clause()),
            Node::UpdateStmt(s) => self
                .one(s.relation())
                .all(s.target_list())
                .one(s.where_clause())
                .all(s.from_clause())
                .one(s.returning_clause())
                .one(s.with_clause()),
            Node::DeleteStmt(s) => self
                .one(s.relation())
                .all(s.using_clause())
                .one(s.where_clause())
                .one(s.returning_clause())
                .one(s.with_clause()),
            Node::MergeStmt(s) => self
                .one(s.relation())
                .one(s.source_relation())
                .one(s.join_condition())
                .all(s.merge_when_clauses())
                .one(s.returning_clause())
                .one(s.with_clause()),
            Node::MergeWhenClause(c) => {
                self.one(c.condition()).all(c.target_list()).all(c.values())
            }
            Node::ReturningClause(c) => self.all(c.options()).all(c.exprs()),
            Node::OnConflictClause(c) => self
                .one(c.infer())
                .all(c.target_list())
                .one(c.where_clause()),
            Node::InferClause(c) => self.all(c.index_elems()).one(c.where_clause()),
            Node::WithClause(c) => self.all(c.ctes()),
            Node::CommonTableExpr(c) => self.one(c.ctequery()).one(c.cycle_clause()),
            Node::CTECycleClause(c) => self.one(c.cycle_mark_value()).one(c.cycle_mark_default()),
            Node::IntoClause(c) => self.one(c.rel()).all(c.options()),
            Node::SortBy(s) => self.one(s.node()),
            Node::GroupingSet(g) => self.all(g.content()),
            Node::WindowDef(w) => self
                .all(w.partition_clause())
                .all(w.order_clause())
                .one(w.start_offset())
                .one(w.end_offset()),
            Node::LockingClause(c) => self.all(c.locked_rels()),
            Node::JoinExpr(j) => self.one(j.larg()).one(j.rarg()).one(j.quals()),
            Node::RangeSubselect(r) => self.one(r.subquery()),
            Node::RangeFunction(r) => self.all(r.functions()).all(r.coldeflist()),
            Node::RangeTableSample(r) => self.one(r.relation()).all(r.args()).one(r.repeatable()),
            Node::RangeTableFunc(r) => self
                .one(r.docexpr())
                .one(r.rowexpr())
                .all(r.namespaces())
                .all(r.columns()),
            Node::RangeTableFuncCol(c) => {
                self.one(c.type_name()).one(c.colexpr()).one(c.coldefexpr())
            }
            _ => return false,
        };
        true
    }

    fn of_json(&mut self, node: Node<'t>) -> bool {
        match node {
            Node::JsonFormat(_) => self,
            Node::JsonReturning(j) => self.one(j.format()),
            Node::JsonOutput(j) => self.one(j.type_name()).one(j.returning()),
            Node::JsonValueExpr(j) => self.one(j.raw_expr()).one(j.formatted_expr()),
            Node::JsonArgument(j) => self.one(j.val()),
            Node::JsonBehavior(j) => self.one(j.expr()),
            Node::JsonIsPredicate(j) => self.one(j.expr()),
            Node::JsonKeyValue(j) => self.one(j.key()).one(j.value()),
            Node::JsonParseExpr(j) => self.one(j.expr()).one(j.output()),
            Node::JsonScalarExpr(j) => self.one(j.expr()).one(j.output()),
            Node::JsonSerializeExpr(j) => self.one(j.expr()).one(j.output()),
            Node::JsonObjectConstructor(j) => self.all(j.exprs()).one(j.output()),
            Node::JsonArrayConstructor(j) => self.all(j.exprs()).one(j.output()),
            Node::JsonArrayQueryConstructor(j) => self.one(j.query()).one(j.output()),
            Node::JsonAggConstructor(j) => self
                .one(j.output())
                .one(j.agg_filter())
                .all(j.agg_order())
                .one(j.over()),
            Node::JsonObjectAgg(j) => self.one(j.constructor()).one(j.arg()),
            Node::JsonArrayAgg(j) => self.one(j.constructor()).one(j.arg()),
            Node::JsonFuncExpr(j) => self
                .one(j.context_item())
                .one(j.pathspec())
                .all(j.passing())
                .one(j.output())
                .one(j.on_empty())
                .one(j.on_error()),
            Node::JsonTable(j) => self
                .one(j.context_item())
                .one(j.pathspec())
                .all(j.passing())
                .all(j.columns())
                .one(j.on_error()),
            Node::JsonTableColumn(j) => self
                .one(j.type_name())
                .one(j.pathspec())
                .all(j.columns())
                .one(j.on_empty())
                .one(j.on_error()),
            Node::JsonTablePathSpec(j) => self.one(j.string()),
            _ => return false,
        };
        true
    }

    /// Names of objects are left out: they hold no expression.
    fn of_utility(&mut self, node: Node<'t>) -> bool {
        match node {
            Node::TableLikeClause(_)
            | Node::ATAlterConstraint(_)
            | Node::ReplicaIdentityStmt(_) => self,
            Node::DefElem(d) => self.one(d.arg()),
            Node::ColumnDef(c) => self
                .one(c.type_name())
                .one(c.raw_default())
                .one(c.coll_clause())
                .all(c.constraints())
                .all(c.fdwoptions()),
            Node::Constraint(c) => self
                .one(c.raw_expr())
                .all(c.exclusions())
                .all(c.options())
                .one(c.where_clause()),
            Node::IndexElem(i) => self.one(i.expr()).all(i.opclassopts()),
            Node::PartitionSpec(p) => self.all(p.part_params()),
            Node::PartitionElem(p) => self.one(p.expr()),
            Node::PartitionBoundSpec(p) => self
                .all(p.listdatums())
                .all(p.lowerdatums())
                .all(p.upperdatums()),
            Node::PartitionRangeDatum(p) => self.one(p.value()),
            Node::PartitionCmd(p) => self.one(p.bound()),
            Node::StatsElem(s) => self.one(s.expr()),
            Node::FunctionParameter(p) => self.one(p.arg_type()).one(p.defexpr()),
            Node::AlterTableCmd(c) => self.one(c.def()),
            Node::ReturnStmt(s) => self.one(s.returnval()),
            Node::VariableSetStmt(s) => self.all(s.args()),
            Node::ExplainStmt(s) => self.one(s.query()).all(s.options()),
            Node::PrepareStmt(s) => self.all(s.argtypes()).one(s.query()),
            Node::ExecuteStmt(s) => self.all(s.params()),
            Node::DeclareCursorStmt(s) => self.one(s.query()),
            Node::CallStmt(s) => self.one(s.funccall()),
            Node::CopyStmt(s) => self
                .one(s.relation())
                .one(s.query())
                .all(s.options())
                .one(s.where_clause()),
            Node::CreateTableAsStmt(s) => self.one(s.query()).one(s.into()),
            Node::CreateStmt(s) => self
                .all(s.table_elts())
                .one(s.partbound())
                .one(s.partspec())
                .all(s.constraints())
                .all(s.nnconstraints())
                .all(s.options()),
            Node::ViewStmt(s) => self.one(s.query()).all(s.options()),
            Node::IndexStmt(s) => self
                .all(s.index_params())
                .all(s.index_including_params())
                .all(s.options())
                .one(s.where_clause()),
            Node::AlterTableStmt(s) => self.all(s.cmds()),
            Node::CreateSeqStmt(s) => self.all(s.options()),
            Node::AlterSeqStmt(s) => self.all(s.options()),
            Node::CreateSchemaStmt(s) => self.all(s.schema_elts()),
            Node::CreateStatsStmt(s) => self.all(s.exprs()),
            Node::CompositeTypeStmt(s) => self.all(s.coldeflist()),
            Node::CreateDomainStmt(s) => self.one(s.type_name()).all(s.constraints()),
            Node::AlterDomainStmt(s) => self.one(s.def()),
            Node::CreateFunctionStmt(s) => self
                .all(s.parameters())
                .one(s.return_type())
                .all(s.options())
                .one(s.sql_body()),
            Node::AlterFunctionStmt(s) => self.all(s.actions()),
            Node::CreateTrigStmt(s) => self.one(s.when_clause()),
            Node::RuleStmt(s) => self.one(s.where_clause()).all(s.actions()),
            Node::CreatePolicyStmt(s) => self.one(s.qual()).one(s.with_check()),
            Node::AlterPolicyStmt(s) => self.one(s.qual()).one(s.with_check()),
            Node::TransactionStmt(s) => self.all(s.options()),
            Node::VacuumStmt(s) => self.all(s.options()),
            Node::ClusterStmt(s) => self.all(s.params()),
            Node::ReindexStmt(s) => self.all(s.params()),
            Node::LockStmt(s) => self.all(s.relations()),
            Node::TruncateStmt(s) => self.all(s.relations()),
            _ => return false,
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    /// The types that rules look at.
    const TYPES: &[&str] = &[
        "FuncCall",
        "ColumnRef",
        "A_Indirection",
        "A_Expr",
        "SelectStmt",
        "InsertStmt",
        "UpdateStmt",
        "DeleteStmt",
        "MergeStmt",
        "VariableSetStmt",
        "RangeSubselect",
        "SubLink",
    ];

    /// The debug output is made from the structs themselves and shows every
    /// node: what the walk reaches must be the same.
    #[test]
    fn the_walk_reaches_every_node_of_postgresqls_regression_tests() {
        let mut compared = 0;
        for file in files() {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            for sql in text.split_inclusive(";\n") {
                let Ok(tree) = pg_raw_parse::parse(sql) else {
                    continue;
                };
                for statement in tree.stmts() {
                    compared += usize::from(reaches_all(statement, sql));
                }
            }
        }
        assert!(compared > 1000, "{compared}");
    }

    /// `false`: the statement is judged by its type alone.
    fn reaches_all(statement: Node<'_>, sql: &str) -> bool {
        let mut stack = Stack::new();
        if !stack.push_children(statement, Scope::Now) {
            return false;
        }
        let mut reached = BTreeMap::new();
        count(statement, &mut reached);
        while let Some((node, scope)) = stack.pop() {
            count(node, &mut reached);
            // Statements within a rule's action can be of any type.
            let _ = stack.push_children(node, scope);
        }
        let shown = format!("{statement:?}");
        for name in TYPES {
            let expected = shown.matches(&format!("({name} {{")).count()
                + shown.matches(&format!(" {name} {{")).count()
                + shown.matches(&format!("[{name} {{")).count();
            let found = reached.get(*name).copied().unwrap_or_default();
            assert_eq!(found, expected, "{name} in {sql}\n{shown}");
        }
        true
    }

    fn count(node: Node<'_>, reached: &mut BTreeMap<&'static str, usize>) {
        let name = match node {
            Node::FuncCall(_) => "FuncCall",
            Node::ColumnRef(_) => "ColumnRef",
            Node::A_Indirection(_) => "A_Indirection",
            Node::A_Expr(_) => "A_Expr",
            Node::SelectStmt(_) => "SelectStmt",
            Node::InsertStmt(_) => "InsertStmt",
            Node::UpdateStmt(_) => "UpdateStmt",
            Node::DeleteStmt(_) => "DeleteStmt",
            Node::MergeStmt(_) => "MergeStmt",
            Node::VariableSetStmt(_) => "VariableSetStmt",
            Node::RangeSubselect(_) => "RangeSubselect",
            Node::SubLink(_) => "SubLink",
            _ => return,
        };
        *reached.entry(name).or_default() += 1;
    }

    fn files() -> Vec<PathBuf> {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/regress");
        let folder = std::env::var_os("PGTENANT_REGRESS_DIR").map_or(ours, PathBuf::from);
        let entries = std::fs::read_dir(folder).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.extension().is_some_and(|e| e == "sql"))
            .collect()
    }
}
