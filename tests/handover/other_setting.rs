//! Two isolations of kind `setting` in one database: a session that was opened for
//! the one would fall back to an empty text in the other's setting.

use testkit::{Options, Proxy, Raw, site};

const SEEN: &str = "SELECT coalesce(current_setting('app.other_tenant', true), 'nothing')";

#[test]
fn a_tenant_of_another_setting_gets_another_session() {
    let database = Options::default().database;
    let more = format!(
        "[isolation.other]\nkind = \"setting\"\nserver = \"main\"\ndatabase = \"{database}\"\n\
         setting = \"app.other_tenant\"\n\
         [[tenants]]\nid = \"7\"\nname = \"Other\"\nisolation = \"other\"\n\
         [[logins]]\nuser = \"other\"\ntenant = \"7\"\nscram = \"{}\"\n",
        site().login_verifier
    );
    let proxy = Proxy::start(&Options {
        size: 1,
        more,
        ..Options::default()
    });
    let parameters = [("user", "other"), ("database", &*database)];
    let mut other = Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap();
    let mut client = proxy.raw("innovate");
    for _ in 0..3 {
        // A policy that takes an empty text for all tenants would show all rows.
        assert_eq!(client.value(SEEN), "nothing");
        assert_eq!(other.value(SEEN), "7");
        let own = "SELECT current_setting('session.current_organization_id', true) IS NULL";
        assert_eq!(other.value(own), "t");
    }
}
