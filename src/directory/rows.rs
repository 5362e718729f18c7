//! What the queries of `[directory.sql]` gave, in little memory.

use crate::problem::shown;
use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The answers to both queries, of one snapshot of the database.
#[derive(Default, PartialEq, Eq)]
pub struct Snapshot {
    /// That of `tenants`.
    pub tenants: Arc<Rows>,
    /// That of `logins`.
    pub logins: Arc<Rows>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("tenants", &self.tenants.len())
            .field("logins", &self.logins.len())
            .finish()
    }
}

/// The answer to one query. Its `Debug` output has no content.
#[derive(Default, PartialEq, Eq)]
pub struct Rows {
    columns: Vec<String>,
    cells: Vec<Stored>,
    items: Vec<Span>,
    text: String,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("columns", &self.columns)
            .field("rows", &self.len())
            .finish()
    }
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell<'a> {
    /// NULL: as if the column were not there.
    Absent,
    /// Text, or what is written as such.
    Text(Cow<'a, str>),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// An array of texts.
    Texts(Vec<Cow<'a, str>>),
}

/// The values are more than can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rows have more than 1 GiB of text")]
pub struct TooLarge;

/// The most bytes of text in the answer to one query.
const MOST_BYTES: usize = 1 << 30;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stored {
    Absent,
    Text(Span),
    Integer(i64),
    Boolean(bool),
    /// A part of `items`.
    Texts(Span),
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Span(u32, u32);

impl Span {
    fn of<T>(self, all: &[T]) -> &[T] {
        all.get(self.0 as usize..self.1 as usize)
            .unwrap_or_default()
    }
}

impl Rows {
    /// No rows, with these columns.
    #[must_use]
    pub fn new(columns: impl IntoIterator<Item = String>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The names of the columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.len() / self.columns.len().max(1)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the next value of the row, or the first one of a new row.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn push(&mut self, cell: &Cell<'_>) -> Result<(), TooLarge> {
        let stored = match cell {
            Cell::Absent => Stored::Absent,
            Cell::Text(text) => Stored::Text(self.store(text)?),
            Cell::Integer(n) => Stored::Integer(*n),
            Cell::Boolean(b) => Stored::Boolean(*b),
            Cell::Texts(texts) => {
                let first = u32::try_from(self.items.len()).map_err(|_| TooLarge)?;
                for text in texts {
                    let item = self.store(text)?;
                    self.items.push(item);
                }
                let end = u32::try_from(self.items.len()).map_err(|_| TooLarge)?;
                Stored::Texts(Span(first, end))
            }
        };
        self.cells.push(stored);
        Ok(())
    }

    /// Gives back memory that was taken for more rows.
    pub fn shrink(&mut self) {
        self.cells.shrink_to_fit();
        self.items.shrink_to_fit();
        self.text.shrink_to_fit();
    }

    fn store(&mut self, text: &str) -> Result<Span, TooLarge> {
        let first = self.text.len();
        let end = first.checked_add(text.len()).filter(|n| *n <= MOST_BYTES);
        let (first, end) = (u32::try_from(first), u32::try_from(end.ok_or(TooLarge)?));
        self.text.push_str(text);
        Ok(Span(
            first.map_err(|_| TooLarge)?,
            end.map_err(|_| TooLarge)?,
        ))
    }

    fn text(&self, span: Span) -> &str {
        let range = span.0 as usize..span.1 as usize;
        self.text.get(range).unwrap_or_default()
    }

    /// The rows, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).map(|at| Row { rows: self, at })
    }

    /// The row at this place.
    pub(super) fn row(&self, at: usize) -> Option<Row<'_>> {
        (at < self.len()).then_some(Row { rows: self, at })
    }

    fn cell(&self, cell: Stored) -> Cell<'_> {
        let text = |span| Cow::Borrowed(self.text(span));
        match cell {
            Stored::Absent => Cell::Absent,
            Stored::Text(span) => Cell::Text(text(span)),
            Stored::Integer(n) => Cell::Integer(n),
            Stored::Boolean(b) => Cell::Boolean(b),
            Stored::Texts(items) => {
                let items = items.of(&self.items).iter();
                Cell::Texts(items.map(|item| text(*item)).collect())
            }
        }
    }
}

/// One row of an answer.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    rows: &'a Rows,
    at: usize,
}

impl<'a> Row<'a> {
    /// What tells the row from others in messages: its value of the column `key`,
    /// or else its number.
    pub(crate) fn name(self, key: &str) -> String {
        let rows = self.rows;
        let at = rows.columns.iter().position(|column| column == key);
        match at.and_then(|at| self.cells().get(at)) {
            Some(Stored::Text(span)) => shown(rows.text(*span)),
            Some(Stored::Integer(n)) => n.to_string(),
            _ => (self.at + 1).to_string(),
        }
    }

    /// Its values, each with the name of its column.
    pub(crate) fn values(self) -> impl Iterator<Item = (&'a str, Cell<'a>)> {
        let columns = self.rows.columns.iter().zip(self.cells());
        columns.map(move |(column, cell)| (column.as_str(), self.rows.cell(*cell)))
    }

    fn cells(self) -> &'a [Stored] {
        let width = self.rows.columns.len();
        let all = self.rows.cells.get(self.at * width..);
        all.and_then(|all| all.get(..width)).unwrap_or_default()
    }

    fn texts(self, items: Span) -> impl Iterator<Item = &'a str> {
        let items = items.of(&self.rows.items).iter();
        items.map(move |item| self.rows.text(*item))
    }
}

/// Whether the values are the same; the columns are taken to be.
impl PartialEq for Row<'_> {
    fn eq(&self, other: &Self) -> bool {
        let same = |(one, another): (&Stored, &Stored)| match (*one, *another) {
            (Stored::Text(one), Stored::Text(another)) => {
                self.rows.text(one) == other.rows.text(another)
            }
            (Stored::Texts(one), Stored::Texts(another)) => {
                self.texts(one).eq(other.texts(another))
            }
            (one, another) => one == another,
        };
        let (one, another) = (self.cells(), other.cells());
        one.len() == another.len() && one.iter().zip(another).all(same)
    }
}

impl Hash for Row<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for cell in self.cells() {
            match *cell {
                Stored::Absent => 0.hash(state),
                Stored::Text(span) => self.rows.text(span).hash(state),
                Stored::Integer(n) => n.hash(state),
                Stored::Boolean(b) => b.hash(state),
                Stored::Texts(items) => {
                    self.texts(items).for_each(|text| text.hash(state));
                }
            }
        }
    }
}
