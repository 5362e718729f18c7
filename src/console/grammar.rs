//! What an administrator can say: `WORD [WORD …] [;]`, in any case, with names in
//! quotes where they need it; `SET key = value`.

use super::setting::{self, Setting};
use std::iter::Peekable;
use std::str::Chars;

/// The longest statement that is read, in bytes.
const MOST: usize = 1024;
/// The most words of one.
const MOST_WORDS: usize = 8;

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// Nothing.
    Empty,
    /// `SHOW what`, or `SELECT what`. Folded.
    Show(String),
    /// `SET` of what a session of PostgreSQL's has: drivers send it, and it changes
    /// nothing.
    Ignored,
    /// A command.
    Command(Command),
}

/// What changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Clients get no server connection.
    Pause(Whom),
    /// They get them again.
    Resume(Whom),
    /// Logs new clients in no more.
    Disable(Whom),
    /// Logs them in again.
    Enable(Whom),
    /// The same as a pause of everybody.
    Suspend,
    /// Ends all clients of it.
    Kill(Whom),
    /// Ends one client.
    KillClient(u32),
    /// Replaces server connections.
    Reconnect(Whom),
    /// Waits until they are replaced.
    WaitClose(Whom),
    /// Reads the configuration again.
    Reload,
    /// Changes a setting until then.
    Set(&'static Setting, String),
    /// Ends the process.
    Shutdown(Shutdown),
}

/// Whom a command is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// Everybody.
    All,
    /// Those who have asked for this database.
    Database(String),
    /// The clients of this tenant.
    Tenant(String),
}

/// When the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// At once.
    Now,
    /// When transactions have ended, within `listen.drain_timeout`.
    AfterServers,
    /// When all clients have left by themselves.
    AfterClients,
}

/// Reads a statement.
///
/// # Errors
/// What the administrator is told.
pub fn parse(text: &str) -> Result<Statement, String> {
    if text.len() > MOST {
        return Err("the statement is too long".to_owned());
    }
    let words = words(text)?;
    let word = |n: usize| words.get(n).map_or("", |word| word.folded.as_str());
    let statement = match (word(0), word(1), words.len()) {
        (_, _, 0) => Statement::Empty,
        ("show" | "select", what, 2) => Statement::Show(what.to_owned()),
        ("show", "transaction", 4) => Statement::Show("default_transaction_isolation".to_owned()),
        ("set", name, 2..) => set(name, &words)?,
        _ => Statement::Command(command(text, &words)?),
    };
    Ok(statement)
}

fn set(name: &str, words: &[Word]) -> Result<Statement, String> {
    let is_assigned = words
        .get(2)
        .is_some_and(|word| ["=", "to"].contains(&&*word.folded));
    match (Setting::named(name), words) {
        (Some(setting), [_, _, _, value]) if is_assigned => Ok(Statement::Command(Command::Set(
            setting,
            value.text.clone(),
        ))),
        (Some(_), _) => Err(format!("write SET {name} = value")),
        (None, _) if setting::is_session_s(name) => Ok(Statement::Ignored),
        (None, _) => Err(setting::unknown(&shown(name))),
    }
}

fn command(text: &str, words: &[Word]) -> Result<Command, String> {
    let word = |n: usize| words.get(n).map_or("", |word| word.folded.as_str());
    let invalid = || Err(format!("invalid command '{}', use SHOW HELP;", shown(text)));
    let named = |whom: Whom, of: fn(Whom) -> Command| match whom {
        Whom::All => Err("a database or TENANT id is required".to_owned()),
        whom => Ok(of(whom)),
    };
    let whom = match (words.get(1), words.get(2), words.len()) {
        (None, _, _) => Some(Whom::All),
        (Some(name), None, _) => Some(Whom::Database(name.text.clone())),
        (Some(kind), Some(id), 3) if kind.folded == "tenant" => Some(Whom::Tenant(id.text.clone())),
        _ => None,
    };
    let Some(whom) = whom else {
        return invalid();
    };
    match (word(0), words.len()) {
        ("pause", _) => Ok(Command::Pause(whom)),
        ("resume", _) => Ok(Command::Resume(whom)),
        ("disable", _) => named(whom, Command::Disable),
        ("enable", _) => named(whom, Command::Enable),
        ("suspend", 1) => Ok(Command::Suspend),
        ("kill", _) => Ok(Command::Kill(whom)),
        ("kill_tenant", 2) => Ok(Command::Kill(Whom::Tenant(words[1].text.clone()))),
        ("kill_client", 2) => match word(1).parse() {
            Ok(id) => Ok(Command::KillClient(id)),
            Err(_) => Err("invalid client pointer supplied".to_owned()),
        },
        ("reconnect", 1 | 2) => Ok(Command::Reconnect(whom)),
        ("wait_close", 1 | 2) => Ok(Command::WaitClose(whom)),
        ("reload", 1) => Ok(Command::Reload),
        ("shutdown", 1) => Ok(Command::Shutdown(Shutdown::Now)),
        ("shutdown", 2) if word(1) == "wait_for_servers" => {
            Ok(Command::Shutdown(Shutdown::AfterServers))
        }
        ("shutdown", 2) if word(1) == "wait_for_clients" => {
            Ok(Command::Shutdown(Shutdown::AfterClients))
        }
        _ => invalid(),
    }
}

impl Command {
    /// The tag that says that it is done.
    #[must_use]
    pub fn tag(&self) -> &'static str {
        match self {
            Self::Pause(_) => "PAUSE",
            Self::Resume(_) => "RESUME",
            Self::Disable(_) => "DISABLE",
            Self::Enable(_) => "ENABLE",
            Self::Suspend => "SUSPEND",
            Self::Kill(_) => "KILL",
            Self::KillClient(_) => "KILL_CLIENT",
            Self::Reconnect(_) => "RECONNECT",
            Self::WaitClose(_) => "WAIT_CLOSE",
            Self::Reload => "RELOAD",
            Self::Set(..) => "SET",
            Self::Shutdown(_) => "SHUTDOWN",
        }
    }

    /// The SQLSTATE that says that it is not.
    #[must_use]
    pub fn failure(&self) -> &'static str {
        match self {
            Self::Reload => "F0000",
            Self::Set(..) => "22023",
            _ => "08P01",
        }
    }
}

/// A text as it is shown: short, and without control characters.
fn shown(text: &str) -> String {
    let text = text.trim().chars().take(100);
    text.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// One word, as it is and folded where it was not in quotes.
#[derive(Debug)]
struct Word {
    text: String,
    folded: String,
}

fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        match chars.peek().copied() {
            None => break,
            Some(';') => {
                chars.next();
                if chars.any(|c| !c.is_whitespace() && c != ';') {
                    return Err("only one statement at a time".to_owned());
                }
                break;
            }
            Some(quote @ ('"' | '\'')) => {
                chars.next();
                let text = quoted(&mut chars, quote)?;
                let folded = text.clone();
                words.push(Word { text, folded });
            }
            Some(c @ ('=' | ',')) => {
                chars.next();
                let (text, folded) = (c.to_string(), c.to_string());
                words.push(Word { text, folded });
            }
            Some(_) => {
                let mut text = String::new();
                let ends = |c: char| c.is_whitespace() || ";=,'\"".contains(c);
                while let Some(c) = chars.next_if(|c| !ends(*c)) {
                    text.push(c);
                }
                let folded = text.to_ascii_lowercase();
                words.push(Word { text, folded });
            }
        }
        if words.len() > MOST_WORDS && words.first().is_some_and(|word| word.folded != "set") {
            return Err(format!("invalid command '{}', use SHOW HELP;", shown(text)));
        }
    }
    Ok(words)
}

/// The text up to the quote, which stands twice for itself.
fn quoted(chars: &mut Peekable<Chars<'_>>, quote: char) -> Result<String, String> {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        if c != quote {
            text.push(c);
        } else if chars.next_if_eq(&quote).is_some() {
            text.push(quote);
        } else {
            return Ok(text);
        }
    }
    Err("a quoted text does not end".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_folded_and_names_in_quotes_are_not() {
        let show = |what: &str| Ok(Statement::Show(what.to_owned()));
        assert_eq!(parse(" Show  STATS ; "), show("stats"));
        assert_eq!(parse("select version;"), show("version"));
        assert_eq!(
            parse("SHOW TRANSACTION ISOLATION LEVEL"),
            show("default_transaction_isolation")
        );
        assert_eq!(parse(" ; "), Ok(Statement::Empty));
        for text in [
            "SET datestyle TO 'ISO, \"x'",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "SET TIME ZONE 'UTC'",
            "SET search_path = a, b",
            "SET application.user = '1'",
        ] {
            assert_eq!(parse(text), Ok(Statement::Ignored), "{text}");
        }
        let database = |name: &str| Whom::Database(name.to_owned());
        let command = |command| Ok(Statement::Command(command));
        assert_eq!(
            parse("pause \"My;\"\"Db\""),
            command(Command::Pause(database("My;\"Db")))
        );
        let tenant = Whom::Tenant("Acme".to_owned());
        assert_eq!(
            parse("KILL_TENANT Acme"),
            command(Command::Kill(tenant.clone()))
        );
        assert_eq!(
            parse("resume tenant Acme"),
            command(Command::Resume(tenant))
        );
        assert_eq!(parse("kill_client 7"), command(Command::KillClient(7)));
        assert_eq!(
            parse("SHUTDOWN wait_for_clients"),
            command(Command::Shutdown(Shutdown::AfterClients))
        );
        let size = Setting::named("default_pool_size").unwrap();
        for text in ["SET Default_Pool_Size=5", "set default_pool_size to '5';"] {
            assert_eq!(parse(text), command(Command::Set(size, "5".to_owned())));
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for text in [
            "BEGIN",
            "DISABLE",
            "SUSPEND all",
            "SET default_pool_size",
            "SET default_pool_size 5",
            "SET default_pool_size = 5 6",
            "SET server_reset_query = ''",
            "SHOW",
            "SHOW a b",
            "kill_client x",
            "kill_client -1",
            "PAUSE a b c",
            "RELOAD x",
            "SHOW STATS; RELOAD",
            "PAUSE 'x",
            "SHUTDOWN later",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let error = parse("SELECT 1 AS x").unwrap_err();
        assert_eq!(error, "invalid command 'SELECT 1 AS x', use SHOW HELP;");
        let error = parse("SET default_pol_size = 5").unwrap_err();
        assert!(error.contains("did you mean default_pool_size?"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_words_make_it_panic(words in proptest::collection::vec(
            "(pause|kill|kill_tenant|kill_client|show|set|tenant|;|=|'|\"|[a-z0-9]{0,4}|\\s)", 0..8,
        )) {
            let _ = parse(&words.join(" "));
        }
    }
}
