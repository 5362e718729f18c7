//! Makes sessions: messages of clients, in whatever order.

use std::fmt;
use testkit::{Pipeline, Random};

/// A message of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Query(&'static str),
    Parse(&'static str, &'static str),
    /// Portal, statement, and whether there is a parameter.
    Bind(&'static str, &'static str, bool),
    DescribeStatement(&'static str),
    DescribePortal(&'static str),
    Execute(&'static str, i32),
    CloseStatement(&'static str),
    ClosePortal(&'static str),
    Flush,
    Sync,
    CopyData,
    CopyDone,
    CopyFail,
}

impl Step {
    pub fn append(self, to: Pipeline) -> Pipeline {
        match self {
            Self::Query(sql) => to.query(sql),
            Self::Parse(name, sql) => to.parse(name, sql),
            Self::Bind(portal, name, false) => to.bind(portal, name, &[]),
            Self::Bind(portal, name, true) => to.bind(portal, name, &["5"]),
            Self::DescribeStatement(name) => to.describe_statement(name),
            Self::DescribePortal(name) => to.describe(name),
            Self::Execute(portal, rows) => to.execute(portal, rows),
            Self::CloseStatement(name) => to.close_statement(name),
            Self::ClosePortal(name) => to.close(name),
            Self::Flush => to.flush(),
            Self::Sync => to.sync(),
            Self::CopyData => to.copy_data(b"9\n"),
            Self::CopyDone => to.copy_done(),
            Self::CopyFail => to.copy_fail("no more"),
        }
    }
}

/// How a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Terminate,
    Close,
    Reset,
    /// Not before the next tenant has had the connection, if nothing entitles the
    /// client to it.
    Stay,
}

/// What one client sends, up to where its session is in a known state again.
#[derive(Debug, Clone)]
pub struct Sequence {
    /// Which of the clients.
    pub client: usize,
    pub steps: Vec<Step>,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Session {
    pub sequences: Vec<Sequence>,
    /// What the first client sends last: it breaks off then, or ends the pipeline
    /// and stays.
    pub last: Vec<Step>,
    pub end: End,
}

impl Session {
    /// Of several clients none may keep the connection to itself.
    pub fn generate(random: &mut Random, clients: usize) -> Self {
        let sequences = (0..=random.below(10))
            .map(|_| Sequence {
                client: random.below(clients),
                steps: steps(random, clients > 1),
            })
            .collect();
        let last = match random.percent(60) {
            true => {
                let mut steps = steps(random, clients > 1);
                steps.truncate(1 + random.below(steps.len()));
                steps
            }
            false => Vec::new(),
        };
        Self {
            sequences,
            last,
            end: random.of(&[End::Terminate, End::Close, End::Reset, End::Stay, End::Stay]),
        }
    }

    /// How many messages it has.
    pub fn len(&self) -> usize {
        let steps = self.sequences.iter().map(|sequence| sequence.steps.len());
        self.sequences.len() + steps.sum::<usize>() + self.last.len()
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Sequence { client, steps } in &self.sequences {
            writeln!(f, "  client {client}: {steps:?}")?;
        }
        write!(f, "  client 0: {:?}, then {:?}", self.last, self.end)
    }
}

fn steps(random: &mut Random, shared: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..=random.below(6) {
        add(&mut steps, random, shared);
    }
    spare_portals(steps)
}

/// Without what PostgreSQL itself can crash of: a use of the unnamed portal that a
/// Query may have left in a failed transaction.
fn spare_portals(steps: Vec<Step>) -> Vec<Step> {
    let (mut is_left, mut is_bound) = (false, false);
    let mut spared = Vec::new();
    for step in steps {
        match step {
            Step::Query(sql) => {
                is_bound = false;
                is_left |= !["BEGIN", "BEGIN READ ONLY", "SELECT 1", ""].contains(&sql);
            }
            Step::Bind("", ..) => is_bound = true,
            Step::Sync => is_bound = false,
            Step::Execute("", _) | Step::DescribePortal("") if is_left && !is_bound => continue,
            _ => {}
        }
        spared.push(step);
    }
    spared
}

fn sql(random: &mut Random, shared: bool) -> &'static str {
    let all = PLAIN.len() + TRANSACTIONS.len() + if shared { 0 } else { PINS.len() };
    let number = random.below(all);
    let chain = PLAIN.iter().chain(TRANSACTIONS).chain(PINS);
    chain.copied().nth(number).unwrap()
}

fn statement(random: &mut Random) -> &'static str {
    random.of(&["", "", "a", "b"])
}

/// One that may have been prepared, by SQL among others.
fn prepared(random: &mut Random) -> &'static str {
    random.of(&["", "", "a", "a", "b", "q"])
}

fn portal(random: &mut Random) -> &'static str {
    random.of(&["", "", "", "p"])
}

fn add(to: &mut Vec<Step>, random: &mut Random, shared: bool) {
    let has_parameter = random.percent(15);
    match random.below(20) {
        0..=4 => to.push(Step::Query(sql(random, shared))),
        5..=8 => {
            let (name, portal) = (statement(random), portal(random));
            let sql = sql(random, shared);
            to.extend([
                Step::Parse(name, sql),
                Step::Bind(portal, name, sql.contains("$1")),
            ]);
            if random.percent(50) {
                to.push(Step::DescribePortal(portal));
            }
            to.push(Step::Execute(portal, random.of(&[0, 0, 1])));
            if random.percent(60) {
                to.push(Step::Sync);
            }
        }
        9 => to.push(Step::Parse(statement(random), sql(random, shared))),
        10 => {
            let (name, portal) = (prepared(random), portal(random));
            to.extend([
                Step::Bind(portal, name, has_parameter),
                Step::Execute(portal, 0),
            ]);
        }
        11 => to.push(Step::Bind(portal(random), prepared(random), has_parameter)),
        12 => to.push(Step::Execute(portal(random), random.of(&[0, 1, 2]))),
        13 => to.push(match random.percent(50) {
            true => Step::DescribeStatement(prepared(random)),
            false => Step::DescribePortal(portal(random)),
        }),
        14 => to.push(match random.percent(60) {
            true => Step::CloseStatement(prepared(random)),
            false => Step::ClosePortal(portal(random)),
        }),
        15 => to.push(Step::Flush),
        16 | 17 => to.push(Step::Sync),
        18 => {
            let copy = "COPY t FROM STDIN";
            match random.below(3) {
                0 => to.push(Step::Query(copy)),
                1 => to.extend([
                    Step::Parse("", copy),
                    Step::Bind("", "", false),
                    Step::Execute("", 0),
                    Step::Sync,
                ]),
                _ => {}
            }
            to.push(Step::CopyData);
            to.push(random.of(&[Step::CopyDone, Step::CopyDone, Step::CopyFail]));
            if random.percent(30) {
                to.push(Step::Sync);
            }
        }
        _ => to.push(random.of(&[Step::CopyData, Step::CopyDone, Step::CopyFail])),
    }
}

const PLAIN: &[&str] = &[
    "SELECT 1",
    "SELECT 1/0",
    "SELEC 1",
    "",
    ";",
    "SELECT $1::int + 1",
    "SELECT generate_series(1, 3)",
    "SELECT count(*) FROM t",
    "INSERT INTO t VALUES (1)",
    "INSERT INTO t VALUES (2) RETURNING n",
    "DELETE FROM t",
    "DELETE FROM nowhere",
    "DEALLOCATE a",
    "DEALLOCATE ALL",
    "DISCARD ALL",
    "DISCARD PLANS",
    "RESET ALL",
    "SET DateStyle = 'German'",
    "SET TimeZone = 'Asia/Tokyo'",
    "SET statement_timeout = '47s'",
    "SET statement_timeout = 'no time'",
    "SET LOCAL DateStyle = 'SQL'",
    "RESET DateStyle",
    "RESET statement_timeout",
    "SET TimeZone TO DEFAULT",
    "SHOW DateStyle",
    "SHOW statement_timeout",
    "SELECT '2020-02-03'::date, current_setting('TimeZone')",
    "SELECT set_config('statement_timeout', '33s', false)",
    "SELECT set_config('DateStyle', 'Postgres', true)",
    "COPY t FROM STDIN",
    "COPY t TO STDOUT",
    "COPY (SELECT 1) TO STDOUT",
    "SELECT 1; SELECT 2",
    "SELECT 1; SELECT 1/0; SELECT 2",
    "INSERT INTO t VALUES (3); SELECT 1/0",
    "SET DateStyle = 'SQL'; SELECT 1/0",
    "SET TimeZone = 'UTC'; SHOW TimeZone",
    "SELECT 1; DEALLOCATE ALL",
    "DEALLOCATE a; SELECT 1",
    "SELECT 1; RESET ALL",
    "RESET ALL; SET TimeZone = 'UTC'; SELECT 1",
    "RESET ALL; SET DateStyle = 'no style'",
    "COPY t FROM STDIN; SELECT 3",
    "COPY t TO STDOUT; COPY t FROM STDIN",
];

const TRANSACTIONS: &[&str] = &[
    "BEGIN",
    "BEGIN",
    "BEGIN READ ONLY",
    "COMMIT",
    "COMMIT",
    "ROLLBACK",
    "ROLLBACK",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "RELEASE s",
    "COMMIT AND CHAIN",
    "ROLLBACK AND CHAIN",
    "DECLARE c CURSOR FOR SELECT generate_series(1, 3)",
    "FETCH 1 FROM c",
    "CLOSE c",
    "CLOSE ALL",
    "BEGIN; INSERT INTO t VALUES (4)",
    "BEGIN; SET LOCAL statement_timeout = '5s'; COMMIT",
    "SELECT 1; COMMIT; SELECT 2",
    "INSERT INTO t VALUES (5); ROLLBACK; SELECT 1",
    "SELECT 1; BEGIN",
];

/// What keeps the client on its connection.
const PINS: &[&str] = &[
    "PREPARE q AS SELECT 7",
    "PREPARE q AS SELECT 7",
    "PREPARE a AS SELECT 8",
    "PREPARE b AS INSERT INTO t VALUES (6); SELECT 1",
    "EXECUTE q",
    "DEALLOCATE q",
    "DEALLOCATE PREPARE ALL",
    "DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3)",
    "FETCH 1 FROM h",
    "CLOSE h",
    "CREATE TEMP TABLE tmp (n int)",
    "INSERT INTO tmp VALUES (1)",
    "DROP TABLE tmp",
    "DISCARD TEMP",
    "SELECT pg_try_advisory_lock(5)",
    "SELECT pg_advisory_unlock_all()",
];
