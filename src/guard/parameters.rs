//! Parameters of a prepared statement that name a setting or guard one: what
//! they are is known, and judged, each time they are bound.

use super::expression::{constant, is_text, last_name, qualifier};
use super::inspection::{Inspection, Scope};
use super::rules;
use super::search_path;
use super::settings::{Change, clip};
use super::tree::Stack;
use pg_raw_parse::{Node, StmtList};

/// Longest name of a setting that is taken from a parameter, in bytes.
const LONGEST_NAME: usize = 1024;

/// One parameter as it is bound.
#[derive(Debug, Clone, Copy)]
pub struct Parameter<'a> {
    /// The type that the client declared when it prepared the statement, an OID
    /// of pg_type; 0: none.
    pub declared: u32,
    /// The format of the value: 0 text, 1 binary.
    pub format: u16,
    /// The value; `None`: NULL.
    pub value: Option<&'a [u8]>,
}

/// A call of set_config that can be judged only with the parameters' values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetConfig {
    name: Operand,
    value: Operand,
    /// It may outlive the transaction.
    lasts: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operand {
    Constant(Box<str>),
    Parameter(Number),
    Computed,
}

/// A parameter of the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    /// Counted from 1, as in `$1`.
    number: i32,
    /// Wherever it stands PostgreSQL takes it for a text, when the client has
    /// declared no type.
    is_text: bool,
}

impl Operand {
    /// What an argument is: a constant or parameter, also with a cast to text.
    pub(super) fn of(node: Option<Node<'_>>) -> Self {
        let Some(node) = node else {
            return Self::Computed;
        };
        if let Some(text) = constant(node) {
            return Self::Constant(text.into());
        }
        match parameter(node) {
            Some(number) => Self::Parameter(Number {
                number,
                is_text: false,
            }),
            None => Self::Computed,
        }
    }
}

fn parameter(node: Node<'_>) -> Option<i32> {
    match node {
        Node::ParamRef(parameter) => Some(parameter.number),
        Node::TypeCast(cast) if is_text(cast) => match cast.arg() {
            Node::ParamRef(parameter) => Some(parameter.number),
            _ => None,
        },
        _ => None,
    }
}

impl SetConfig {
    pub(super) fn new(name: Operand, value: Operand, lasts: bool) -> Self {
        Self { name, value, lasts }
    }

    /// One that sets search_path to a list, which is known.
    pub(super) fn of_path(path: Box<str>) -> Self {
        let name = Operand::Constant(search_path::SETTING.into());
        Self::new(name, Operand::Constant(path), true)
    }

    /// Which setting it is about.
    pub(super) fn name(&self) -> &Operand {
        &self.name
    }

    /// Notes which of its parameters PostgreSQL can only take for texts.
    pub(super) fn note_types(&mut self, statements: &StmtList) {
        for operand in [&mut self.name, &mut self.value] {
            if let Operand::Parameter(number) = operand {
                number.is_text = stands_for_text_only(statements, number.number);
            }
        }
    }

    /// Judges the call with the parameters' values.
    pub(super) fn judge(&self, inspection: &mut Inspection<'_>, parameters: &[Parameter<'_>]) {
        let name = match &self.name {
            Operand::Constant(name) => Ok(name.to_string()),
            Operand::Parameter(number) => number.text(parameters).and_then(|name| match name {
                Some(name) if name.len() <= LONGEST_NAME => Ok(name.to_ascii_lowercase()),
                Some(_) => Err("is too long"),
                None => Err("is NULL"),
            }),
            Operand::Computed => Err("is not a constant"),
        };
        let name = match name {
            Ok(name) => name,
            Err(why) => {
                inspection.effects.settings = super::TouchedSettings::Any;
                return inspection.refuse(&rules::COMPUTED, || {
                    format!("the parameter with the setting's name in set_config {why}")
                });
            }
        };
        let change = match &self.value {
            Operand::Constant(value) => Change::Text(value),
            Operand::Parameter(number) => match number.text(parameters) {
                Ok(Some(value)) => Change::Text(value),
                _ => Change::Computed,
            },
            Operand::Computed => Change::Computed,
        };
        inspection.object_to(&name, change);
        inspection.set(&name, !self.lasts);
    }

    /// What it takes in the cache, in bytes.
    pub(super) fn weight(&self) -> usize {
        let text = |operand: &Operand| match operand {
            Operand::Constant(text) => text.len(),
            _ => 0,
        };
        size_of::<Self>() + text(&self.name) + text(&self.value)
    }
}

impl Number {
    /// The text that the server will see: text types have the same bytes in
    /// both formats.
    fn text<'p>(self, parameters: &[Parameter<'p>]) -> Result<Option<&'p str>, &'static str> {
        /// Their OIDs in pg_type: `text`, `varchar`.
        const TEXT: [u32; 2] = [25, 1043];
        /// No type, and `unknown`, which the server takes for none.
        const NONE: [u32; 2] = [0, 705];
        let at = usize::try_from(self.number)
            .ok()
            .and_then(|n| n.checked_sub(1));
        let bound = at.and_then(|at| parameters.get(at)).ok_or("is missing")?;
        let known =
            TEXT.contains(&bound.declared) || (NONE.contains(&bound.declared) && self.is_text);
        if !known {
            return Err("is not of the type text");
        }
        if bound.format > 1 {
            return Err("is of an unknown format");
        }
        let Some(bytes) = bound.value else {
            return Ok(None);
        };
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Ok(Some(text)),
            _ => Err("is not a text"),
        }
    }
}

/// Whether the parameter stands nowhere but in set_config's first two arguments
/// and under casts to text: PostgreSQL infers the type of a parameter from where
/// it meets it first.
fn stands_for_text_only(statements: &StmtList, number: i32) -> bool {
    let mut stack = Stack::new();
    for statement in statements.stmts() {
        stack.push(statement, Scope::Now);
    }
    let (mut uses, mut texts) = (0_usize, 0_usize);
    let is_ours = |node: Node<'_>| parameter(node) == Some(number);
    while let Some((node, scope)) = stack.pop() {
        match node {
            Node::ParamRef(parameter) => uses += usize::from(parameter.number == number),
            Node::TypeCast(_) => texts += usize::from(is_ours(node)),
            Node::FuncCall(call)
                if last_name(call.funcname()) == Some("set_config")
                    && matches!(qualifier(call.funcname()), None | Some("pg_catalog")) =>
            {
                let direct =
                    call.args().iter().take(2).filter(|argument| {
                        matches!(argument, Node::ParamRef(_)) && is_ours(*argument)
                    });
                texts += direct.count();
            }
            _ => {}
        }
        // What is unknown to the tree is refused by the inspection.
        let _ = stack.push_children(node, scope);
    }
    uses == texts
}

/// Why a call that waits for parameters is refused where none come.
pub(super) fn of_a_parameter(setting: &Operand) -> String {
    match setting {
        Operand::Constant(name) => {
            format!("the value of setting \"{}\" is a parameter", clip(name))
        }
        _ => "the name of the setting in set_config is a parameter".to_owned(),
    }
}
