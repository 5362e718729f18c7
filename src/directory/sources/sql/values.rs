//! Values of PostgreSQL's types, as rows of the directory take them.

use crate::directory::Cell;
use postgres_protocol::types;
use std::borrow::Cow;
use std::error::Error;
use tokio_postgres::types::{FromSql, Kind, Type};

/// A value that was read.
pub(super) struct SqlValue<'a>(pub(super) Cell<'a>);

type Failure = Box<dyn Error + Sync + Send>;

impl SqlValue<'_> {
    /// Whether values of this type can be read.
    pub(super) fn is_readable(of: &Type) -> bool {
        match of.kind() {
            Kind::Array(item) => is_text(item) || *item == Type::INET || *item == Type::CIDR,
            _ => {
                is_text(of)
                    || [
                        Type::INT2,
                        Type::INT4,
                        Type::INT8,
                        Type::BOOL,
                        Type::INET,
                        Type::CIDR,
                    ]
                    .contains(of)
            }
        }
    }
}

/// Whether it becomes text as it is; a UUID too, in its canonical spelling.
fn is_text(of: &Type) -> bool {
    let known = [
        Type::TEXT,
        Type::VARCHAR,
        Type::BPCHAR,
        Type::NAME,
        Type::UNKNOWN,
        Type::UUID,
    ];
    // citext is an extension's: its number differs from database to database.
    known.contains(of) || matches!(of.kind(), Kind::Enum(_)) || of.name() == "citext"
}

impl<'a> FromSql<'a> for SqlValue<'a> {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        let cell = if let Kind::Array(_) = of.kind() {
            let items: Vec<Option<Item<'a>>> = Vec::from_sql(of, raw)?;
            // An empty text is refused later on, together with its row.
            let text = |item: Option<Item<'a>>| item.map(|item| item.0).unwrap_or_default();
            Cell::Texts(items.into_iter().map(text).collect())
        } else if *of == Type::BOOL {
            Cell::Boolean(types::bool_from_sql(raw)?)
        } else if *of == Type::INT2 {
            Cell::Integer(types::int2_from_sql(raw)?.into())
        } else if *of == Type::INT4 {
            Cell::Integer(types::int4_from_sql(raw)?.into())
        } else if *of == Type::INT8 {
            Cell::Integer(types::int8_from_sql(raw)?)
        } else {
            Cell::Text(text(of, raw)?)
        };
        Ok(Self(cell))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Self(Cell::Absent))
    }

    fn accepts(of: &Type) -> bool {
        Self::is_readable(of)
    }
}

/// An item of an array.
struct Item<'a>(Cow<'a, str>);

impl<'a> FromSql<'a> for Item<'a> {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        text(of, raw).map(Self)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn text<'a>(of: &Type, raw: &'a [u8]) -> Result<Cow<'a, str>, Failure> {
    Ok(if *of == Type::UUID {
        let uuid = uuid::Uuid::from_bytes(types::uuid_from_sql(raw)?);
        Cow::Owned(uuid.hyphenated().to_string())
    } else if *of == Type::INET || *of == Type::CIDR {
        let net = types::inet_from_sql(raw)?;
        Cow::Owned(format!("{}/{}", net.addr(), net.netmask()))
    } else {
        Cow::Borrowed(types::text_from_sql(raw)?)
    })
}
