//! What comes back for one or several messages.

use crate::message::{Fields, Message, texts};

/// The answer to one or several messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// All messages.
    pub messages: Vec<Message>,
}

impl Answer {
    /// The types of the messages, such as `TDCZ`; without notices and reports
    /// of parameters, which may come at any time.
    pub fn tags(&self) -> String {
        let tags = self.messages.iter().map(|message| char::from(message.tag));
        tags.filter(|tag| !matches!(tag, 'N' | 'S')).collect()
    }

    /// The messages of one type.
    pub fn of(&self, tag: u8) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(move |m| m.tag == tag)
    }

    /// All rows, as text.
    pub fn rows(&self) -> Vec<Vec<Option<String>>> {
        self.of(b'D').map(Message::row).collect()
    }

    /// The values of the first column.
    pub fn column(&self) -> Vec<String> {
        let rows = self.rows().into_iter();
        rows.map(|row| row[0].clone().unwrap_or_default()).collect()
    }

    /// The value of the only row.
    pub fn value(&self) -> String {
        match &self.column()[..] {
            [value] => value.clone(),
            _ => panic!("one row was expected: {self:?}"),
        }
    }

    /// The tags of the completed commands.
    pub fn commands(&self) -> Vec<String> {
        self.of(b'C').map(|m| texts(&m.body).remove(0)).collect()
    }

    /// The errors, in their order.
    pub fn errors(&self) -> Vec<Fields> {
        self.of(b'E').map(Message::fields).collect()
    }

    /// The only error.
    #[track_caller]
    pub fn error(&self) -> Fields {
        match &self.errors()[..] {
            [error] => error.clone(),
            _ => panic!("one error was expected: {self:?}"),
        }
    }

    /// Asserts that there is no error.
    #[track_caller]
    pub fn ok(&self) -> &Self {
        assert!(self.errors().is_empty(), "{:?}", self.errors());
        self
    }

    /// The state of the transaction as of the last ReadyForQuery: `I`, `T`, `E`.
    pub fn status(&self) -> char {
        let last = self.of(b'Z').last();
        char::from(
            last.unwrap_or_else(|| panic!("no ReadyForQuery: {self:?}"))
                .body[0],
        )
    }
}
