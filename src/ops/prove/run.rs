//! Runs the attacks.

use super::attacks::{Attack, Entry, Must, Piece, Step, Way};
use super::filling::Filling;
use super::judge::{is_refusal_of_login, judge, worse};
use super::observe::{Observer, Seen};
use super::report::{Outcome, Test};
use super::scene::{Kind, Side};
use super::text::literal;
use super::wire::{Answer, Message, Session};
use crate::server::ConnectError;

/// Errors that attacks make on purpose, and what follows them in a transaction.
const ON_PURPOSE: &[&str] = &["22012", "25P02"];

/// One tenant's login, and what shows that it sees the other's rows.
pub(super) struct Attacker<'a> {
    pub(super) side: &'a Side,
    pub(super) kind: Kind,
    pub(super) setting: Option<&'a str>,
    pub(super) filling: Filling,
    pub(super) observer: &'a Observer,
}

impl Attacker<'_> {
    /// Tries an attack in all ways that it asks for.
    pub(super) async fn attack(&self, attack: &Attack) -> Test {
        let outcome = if !attack.kinds.contains(&self.kind) {
            Outcome::NotApplicable(format!("in kind {} it means nothing", self.kind.word()))
        } else if self.observer.is_blind() && !matches!(attack.must, Must::Refuse | Must::Fail(_)) {
            Outcome::NotTested("no row is known that the other login alone sees".to_owned())
        } else {
            match attack.way {
                Way::Within => self.once(attack, true).await,
                Way::Alone => self.once(attack, false).await,
                Way::Both => {
                    let within = self.once(attack, true).await;
                    worse(within, self.once(attack, false).await)
                }
            }
        };
        Test {
            id: attack.id.to_owned(),
            promise: attack.promise,
            what: self.shown(attack.steps),
            outcome,
        }
    }

    async fn once(&self, attack: &Attack, within: bool) -> Outcome {
        let mut session = match self.side.login.open().await {
            Ok(session) => session,
            Err(error) => return Outcome::NotTested(format!("cannot log in: {error}")),
        };
        if within {
            let begun = session.query("BEGIN").await;
            if let Some(failed) = begun.failed {
                return Outcome::NotTested(format!("no transaction could begin: {failed}"));
            }
        }
        let mut answers = Vec::new();
        for step in attack.steps {
            answers.push(self.step(&mut session, step).await);
        }
        let is_lost = answers.iter().any(|answer| answer.is_lost);
        let mut seen = match is_lost {
            true => Seen::Nothing,
            false => self.observe(&mut session, within).await,
        };
        if answers.iter().any(|answer| self.observer.has_rows(answer)) {
            seen = Seen::Rows;
        }
        if !is_lost {
            self.clean(&mut session, within).await;
        }
        session.close().await;
        let failed = answers.into_iter().filter_map(|answer| answer.failed);
        let mut failed = failed.filter(|failed| !ON_PURPOSE.contains(&&*failed.sqlstate));
        judge(attack.must, self.observer, failed.next(), seen)
    }

    /// A transaction that has failed shows nothing: then it is looked behind it.
    async fn observe(&self, session: &mut Session, within: bool) -> Seen {
        let seen = self.observer.look(session).await;
        match seen {
            Seen::Unclear(_) if within => {
                session.query("ROLLBACK").await;
                self.observer.look(session).await
            }
            seen => seen,
        }
    }

    /// What a session has changed must not reach whoever gets its server connection from
    /// a proxy that does not look.
    async fn clean(&self, session: &mut Session, within: bool) {
        if within {
            session.query("ROLLBACK").await;
            return;
        }
        for sql in [
            "ROLLBACK",
            "SET SESSION AUTHORIZATION DEFAULT",
            "RESET ROLE",
            "CLOSE ALL",
            "DEALLOCATE ALL",
        ] {
            session.query(sql).await;
        }
        if self.kind == Kind::Schema {
            session.query("RESET search_path").await;
        }
        let Some(setting) = self.setting else { return };
        let read = format!("SELECT current_setting({}, true)", literal(setting));
        let now = session.query(&read).await;
        if now.value() != Some(&self.side.value) {
            session
                .query(&format!("SET {setting} = {}", literal(&self.side.value)))
                .await;
        }
    }

    async fn step(&self, session: &mut Session, step: &Step) -> Answer {
        let fill = |text: &&str| self.filling.fill(text);
        match step {
            Step::Sql(sql) => session.query(&fill(sql)).await,
            Step::Bound(sql, values) => {
                let values = values.iter().map(fill).collect();
                let messages = [
                    Message::Parse(String::new(), fill(sql)),
                    Message::Bind(String::new(), String::new(), values),
                    Message::Execute(String::new()),
                    Message::Sync,
                ];
                session.send(&messages).await
            }
            Step::Pipeline(pieces) => {
                let messages: Vec<_> = pieces.iter().map(|piece| self.piece(piece)).collect();
                session.send(&messages).await
            }
            Step::Call(name, values) => {
                let sql = format!(
                    "SELECT oid FROM pg_catalog.pg_proc WHERE proname = {} AND pronamespace = 11 LIMIT 1",
                    literal(name)
                );
                let found = session.query(&sql).await;
                let Some(oid) = found.value().and_then(|value| value.parse().ok()) else {
                    return found;
                };
                let values = values.iter().map(fill).collect();
                session.send(&[Message::Call(oid, values)]).await
            }
            Step::Bytes(bytes) => {
                session
                    .send(&[Message::Raw(bytes.to_vec()), Message::Sync])
                    .await
            }
        }
    }

    fn piece(&self, piece: &Piece) -> Message {
        let text = |text: &str| text.to_owned();
        match piece {
            Piece::Query(sql) => Message::Query(self.filling.fill(sql)),
            Piece::Parse(name, sql) => Message::Parse(text(name), self.filling.fill(sql)),
            Piece::Bind(portal, name) => Message::Bind(text(portal), text(name), Vec::new()),
            Piece::Execute(portal) => Message::Execute(text(portal)),
            Piece::Flush => Message::Flush,
            Piece::Sync => Message::Sync,
        }
    }

    /// What is sent, for people.
    fn shown(&self, steps: &[Step]) -> String {
        let one = |step: &Step| match step {
            Step::Sql(sql) => self.short(sql),
            Step::Bound(sql, values) => format!(
                "{} with {}",
                self.short(sql),
                self.short(&values.join(", "))
            ),
            Step::Pipeline(pieces) => {
                let all = pieces.iter().map(|piece| match piece {
                    Piece::Query(sql) => format!("Query({})", self.short(sql)),
                    Piece::Parse(_, sql) => format!("Parse({})", self.short(sql)),
                    piece => format!("{piece:?}")
                        .split('(')
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                });
                all.collect::<Vec<_>>().join(" ")
            }
            Step::Call(name, _) => format!("FunctionCall of {name}"),
            Step::Bytes(bytes) => format!("bytes {}", bytes.escape_ascii()),
        };
        steps.iter().map(one).collect::<Vec<_>>().join(" | ")
    }

    /// The text without the query for rows, which is long.
    fn short(&self, text: &str) -> String {
        self.filling
            .fill(&text.replace("{rows}", "<the other's rows>"))
    }

    /// Tries to log in in an uncommon way.
    pub(super) async fn enter(&self, entry: &Entry, other_password: bool) -> Test {
        let fill = |text: &str| self.filling.fill(text);
        let user = entry.user.map_or(self.side.login.user().to_owned(), fill);
        let database = entry
            .database
            .map_or(self.side.login.database.clone(), fill);
        let parameters: Vec<_> = entry
            .parameters
            .iter()
            .map(|(name, value)| (fill(name), fill(value)))
            .collect();
        let mut what = format!("log in as {user} to {database}");
        for (name, value) in &parameters {
            what.push_str(&format!(", {name}={value}"));
        }
        for sql in entry.then {
            what.push_str(&format!(" | {}", fill(sql)));
        }
        let outcome = if !entry.kinds.contains(&self.kind) {
            Outcome::NotApplicable(format!("in kind {} it means nothing", self.kind.word()))
        } else if entry.user == Some("{other_login}") && other_password {
            Outcome::NotTested("both logins have the same password: it opens both".to_owned())
        } else if self.observer.is_blind() {
            Outcome::NotTested("no row is known that the other login alone sees".to_owned())
        } else {
            let parameters: Vec<_> = parameters
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            self.entered(entry, &user, &database, &parameters).await
        };
        Test {
            id: entry.id.to_owned(),
            promise: entry.promise,
            what,
            outcome,
        }
    }

    async fn entered(
        &self,
        entry: &Entry,
        user: &str,
        database: &str,
        parameters: &[(&str, &str)],
    ) -> Outcome {
        let mut session = match self.side.login.open_as(user, database, parameters).await {
            Ok(session) => session,
            Err(ConnectError::Refused(report)) => {
                let said = format!("{} ({})", report.message, report.sqlstate);
                return match is_refusal_of_login(&report.sqlstate) {
                    true => Outcome::Held(format!("refused: {said}")),
                    false => {
                        Outcome::NotTested(format!("the login failed for another reason: {said}"))
                    }
                };
            }
            Err(error) => {
                return Outcome::NotTested(format!("the login failed for another reason: {error}"));
            }
        };
        let mut seen = self.observer.look(&mut session).await;
        for sql in entry.then {
            session.query(&self.filling.fill(sql)).await;
            if matches!(seen, Seen::Nothing) {
                seen = self.observer.look(&mut session).await;
            }
        }
        self.clean(&mut session, false).await;
        session.close().await;
        judge(Must::Hold, self.observer, None, seen)
    }
}
