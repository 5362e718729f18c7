//! What the proxy takes from the machine and the server, and what is to be left out
//! of the report.

use super::lab::{A, Lab, Report, SETTING, on_each_version, run};
use testkit::{program, stderr, stdout};

#[test]
fn pools_that_a_server_does_not_take_are_found() {
    on_each_version(|lab| {
        lab.database("many", "");
        let configuration = lab.setting("many");
        assert!(lab.check(&configuration).of_check("PGT606").is_empty());
        let text = std::fs::read_to_string(&configuration).unwrap();
        let large = lab.write("large.toml", &format!("{text}[pool]\nsize = 500\n"));
        let found = lab.check(&large).one("PGT606", "max_connections");
        let detail = found["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("1 databases with a pool.size of 500 make 500"),
            "{detail}"
        );
        let fix = found["fix"].as_str().unwrap();
        let size = fix
            .strip_prefix("-- in the configuration, [pool]: ")
            .unwrap();
        let right = lab.write("right.toml", &format!("{text}[pool]\n{size}\n"));
        assert!(lab.check(&right).of_check("PGT606").is_empty());
        lab.sql(
            "postgres",
            "ALTER ROLE wellness_app CONNECTION LIMIT 5; ALTER DATABASE many CONNECTION LIMIT 4",
        );
        let found = lab.check(&configuration);
        found.assert_has(&["PGT606 database many", "PGT606 role wellness_app"]);
    });
}

#[test]
fn too_few_open_files_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pgtenant.toml");
    let text = "[tls]\nmode = \"off\"\n[listen]\nmax_clients = 500\n[servers.here]\nhost = \"localhost\"\n\
         tls = \"off\"\nuser = \"app\"\n[isolation.silo]\nkind = \"database\"\nserver = \"here\"\n\
         database = \"{id}\"\n[[tenants]]\nid = \"a\"\n[[tenants]]\nid = \"b\"\n";
    std::fs::write(&file, text).unwrap();
    // 500 clients, two pools of 20, 64 others.
    for (limit, expected) in [(603, vec!["PGT009 listen.max_clients"]), (604, vec![])] {
        let output = std::process::Command::new("sh")
            .args(["-c", "ulimit -n $0 && exec \"$@\"", &limit.to_string()])
            .arg(program())
            .args(["check", "--offline", "--json", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        assert_eq!(Report::of(&output).list(), expected, "{limit}");
    }
}

#[test]
fn known_findings_and_lesser_ones_are_left_out() {
    let lab = Lab::start();
    lab.database(
        "known",
        "CREATE TABLE entries (id int PRIMARY KEY, organization_id uuid NOT NULL, code text UNIQUE);
         CREATE INDEX ON entries (organization_id);
         CREATE POLICY org ON entries USING (organization_id =
             (SELECT current_setting('session.current_organization_id'))::uuid);
         ALTER TABLE entries ENABLE ROW LEVEL SECURITY;
         CREATE TABLE countries (code text PRIMARY KEY); CREATE TABLE currencies (code text PRIMARY KEY);
         GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO wellness_app;",
    );
    let configuration = lab.tenants("known", SETTING, &[A]);
    let config = configuration.to_str().unwrap();
    let of = |arguments: &[&str]| {
        let fixed = ["--config", config, "--json"];
        Report::of(&run(&[&fixed[..], arguments].concat()))
    };
    let all = [
        "PGT501 constraint entries_code_key on public.entries",
        "PGT209 table public.countries",
        "PGT209 table public.currencies",
        "PGT502 constraint entries_pkey on public.entries",
    ];
    let report = of(&[]);
    assert_eq!(
        (&report.list()[..], report.status),
        (&all.map(str::to_owned)[..], Some(4))
    );
    assert_eq!(of(&["--severity", "notice"]).list(), report.list());
    assert_eq!(of(&["--severity", "warning"]).list(), all[..1]);
    let errors = of(&["--severity", "error"]);
    assert_eq!((errors.list(), errors.status), (Vec::new(), Some(0)));
    let some = of(&[
        "--ignore",
        "pgt501",
        "--ignore",
        "PGT209 table public.countries",
    ]);
    assert_eq!(
        (&some.list()[..], some.status),
        (
            &all[2..]
                .iter()
                .map(|one| (*one).to_owned())
                .collect::<Vec<_>>()[..],
            Some(0)
        )
    );
    assert_eq!(some.json["ignored"], 2);

    // In the configuration just so; and what is not found any more is said.
    let text = std::fs::read_to_string(&configuration).unwrap();
    let ignoring = |list: &str| {
        lab.write(
            "ignoring.toml",
            &format!("{text}[check]\nignore = {list}\n"),
        )
    };
    let file = ignoring(
        "[\"PGT501\", \"PGT502\", \"PGT209 table public.countries\", \"PGT209 table public.gone\"]",
    );
    let output = run(&["--config", file.to_str().unwrap()]);
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("public.currencies") && !said.contains("public.countries"),
        "{said}"
    );
    assert!(
        said.contains("to be ignored: PGT209 table public.gone"),
        "{said}"
    );
    assert!(said.contains("2 notices; 3 findings ignored"), "{said}");
    for (list, expected) in [
        (
            "[\"PGT\"]",
            "check.ignore: \"PGT\" must be the id of a check",
        ),
        ("[\"PGT999\"]", "check.ignore: there is no check PGT999"),
    ] {
        let output = run(&["--config", ignoring(list).to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
    let output = run(&["--config", config, "--severity", "bad"]);
    assert_eq!(output.status.code(), Some(2));
}
