//! Isolations with pools of their own (`[isolation.NAME.pool]`).

#![allow(clippy::unwrap_used, clippy::panic)]

use testkit::{Options, Proxy, SYNERGY, configuration, site, wait_until};

/// The configuration with a section for the pools of the isolation `setting`.
fn with_own(options: &Options, lines: &str) -> String {
    let text = configuration(site(), options);
    text.replace(
        "[isolation.schema]\n",
        &format!("[isolation.setting.pool]\n{lines}\n[isolation.schema]\n"),
    )
}

fn run(text: &str, database: &str) -> (Proxy, impl Fn(&str) -> testkit::Raw + use<>) {
    let mut proxy = Proxy::run(&site().write_new(".toml", text));
    proxy.password.clone_from(&site().login_password);
    let (port, password) = (proxy.port, proxy.password.clone());
    let database = database.to_owned();
    let log_in = move |login: &str| {
        let database = match login {
            "umbrella" => "wellness_umbrella",
            _ => &database,
        };
        let parameters = [("user", login), ("database", database)];
        testkit::Raw::log_in(port, &password, &parameters).unwrap()
    };
    (proxy, log_in)
}

fn options(database: &str) -> Options {
    Options {
        database: database.to_owned(),
        size: 2,
        ..Options::default()
    }
}

#[test]
fn an_isolation_has_a_size_of_its_own_and_a_reload_changes_it_alone() {
    let database = site().fresh_database();
    let text = with_own(&options(&database), "size = 1");
    let (proxy, log_in) = run(&text, &database);
    let (mut first, mut second) = (log_in("innovate"), log_in("innovate"));
    let mut others = [log_in("umbrella"), log_in("umbrella")];
    first.run_ok("BEGIN");
    second.send_query("SELECT 1");
    // The others have what [pool] says.
    let theirs = others.each_mut().map(|other| {
        other.run_ok("BEGIN");
        other.backend()
    });
    assert!(second.is_quiet(), "there is one connection alone");
    for other in &mut others {
        other.run_ok("COMMIT");
    }
    // Not by SIGHUP, which replaces all connections.
    let changed = text.replace("size = 1\n", "size = 2\n");
    std::fs::write(&proxy.config, changed).unwrap();
    assert_eq!(second.until_ready().ok().value(), "1");
    first.run_ok("COMMIT");
    // Connections that the change is not about have stayed.
    for other in &mut others {
        other.run_ok("BEGIN");
    }
    for other in &mut others {
        assert!(theirs.contains(&other.backend()));
    }
}

#[test]
fn what_is_not_given_comes_from_the_pool_of_all() {
    let database = site().fresh_database();
    let options = Options {
        idle_timeout: "100ms",
        ..options(&database)
    };
    let text = with_own(&options, "min_idle = 2").replace("[pool]\n", "[pool]\nmin_idle = 1\n");
    let (proxy, log_in) = run(&text, &database);
    let (mut client, mut other) = (log_in("innovate"), log_in("umbrella"));
    let open = |database: &str| {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' \
             AND application_name <> 'pgtenant' AND usename <> 'postgres'"
        );
        site().sql("postgres", &sql)
    };
    for client in [&mut client, &mut other] {
        client.run_ok("SELECT 1");
    }
    wait_until("each has its own", || {
        open(&database) == "2" && open("wellness_umbrella") == "1"
    });
    // Without a section of its own it is like the others.
    proxy.reload(|text| text.replace("[isolation.setting.pool]\nmin_idle = 2\n", ""));
    wait_until("both have one", || {
        open(&database) == "1" && open("wellness_umbrella") == "1"
    });
    client.run_ok("SELECT 1");
}

#[test]
fn two_isolations_of_one_database_do_not_take_each_other_s() {
    let database = site().fresh_database();
    let options = Options {
        wait_timeout: "200ms",
        ..options(&database)
    };
    let more = format!(
        "[isolation.small]\nkind = \"setting\"\nserver = \"main\"\ndatabase = \"{database}\"\n\
         setting = \"session.current_organization_id\"\n[isolation.small.pool]\nsize = 1\n\
         wait_timeout = \"30s\"\n"
    );
    let text = configuration(site(), &options);
    let at = text.find(&format!("id = \"{SYNERGY}\"")).unwrap();
    let (front, behind) = text.split_at(at);
    let behind = behind.replacen("isolation = \"setting\"", "isolation = \"small\"", 1);
    let (_proxy, log_in) = run(&format!("{front}{behind}{more}"), &database);
    let mut large = [(); 2].map(|()| log_in("innovate"));
    let mut small = [(); 2].map(|()| log_in("synergy"));
    let [first, second] = &mut small;
    first.run_ok("BEGIN");
    second.send_query("SELECT current_setting('session.current_organization_id')");
    for client in &mut large {
        client.run_ok("BEGIN");
    }
    // Each waits for its own, for as long as it may.
    let mut third = log_in("innovate");
    assert_eq!(third.error("SELECT 1").code(), "53300");
    assert!(second.is_quiet());
    first.run_ok("COMMIT");
    assert_eq!(second.until_ready().ok().value(), SYNERGY);
}
