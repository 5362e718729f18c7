//! Whether tables are sealed where a seal is promised.

use super::report::{Outcome, Test};
use super::scene::{Kind, Scene};

/// Looks at the policies. `promised`: the configuration has a seal, or has none; `None` if
/// it is not known, for the reason `silence`.
pub(super) fn seal(scene: &Scene, promised: Option<bool>, silence: &str, tests: &mut Vec<Test>) {
    let what = "read the policies of every table whose policies read the setting";
    let mut add = |id: String, outcome| {
        tests.push(Test {
            id,
            promise: "P15",
            what: what.to_owned(),
            outcome,
        });
    };
    let reading = || scene.own.tables.iter().filter(|table| table.reads_setting);
    if scene.kind != Kind::Setting {
        let why = format!("in kind {} there is no seal", scene.kind.word());
        return add("seal".to_owned(), Outcome::NotApplicable(why));
    }
    if promised == Some(false) && !scene.is_sealed() {
        let why = "the configuration has no seal: seal = \"off\"".to_owned();
        return add("seal".to_owned(), Outcome::NotApplicable(why));
    }
    if promised.is_none() && !scene.is_sealed() {
        let why = format!("no table is sealed, and {silence}");
        return add("seal".to_owned(), Outcome::NotApplicable(why));
    }
    if reading().next().is_none() {
        return add(
            "seal".to_owned(),
            Outcome::NotTested("no policy was found that reads the setting".to_owned()),
        );
    }
    for table in reading() {
        let outcome = match table.is_sealed {
            true => Outcome::Held("it has the seal's restrictive policy".to_owned()),
            false => Outcome::Broken("it has no seal: run `pgtenant harden`".to_owned()),
        };
        add(format!("seal:{}", table.shown()), outcome);
    }
}
