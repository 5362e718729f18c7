//! Databases with the traits of those that people have: what is found in them is
//! so, and what is printed helps and breaks nothing.

use super::lab::{A, Application, B, Report, on_each_version};

#[test]
fn memberships_by_functions_past_their_own_policy() {
    on_each_version(|lab| {
        lab.database("teams", include_str!("sql/memberships.sql"));
        let configuration = lab.tenants("teams", "request.jwt.claim.sub", &[A, B]);
        let report = lab.check(&configuration);
        report.assert_complete();
        // A bucket is not a tenant, though it stands beside one in a policy.
        let bucket = report.findings().iter().find(|finding| {
            finding.to_string().contains("column bucket_id") && finding["id"] != "PGT503"
        });
        assert!(bucket.is_none(), "{bucket:#?}");
        assert_eq!(
            errors(&report),
            [
                "PGT201 table public.notes",
                "PGT210 table public.comments",
                "PGT405 function public.count_documents()",
                "PGT405 function public.is_member(uuid,uuid)",
                "PGT405 function public.count_hidden()",
            ]
            .map(str::to_owned)
            .into()
        );
        // As SECURITY INVOKER they would ask their own policy, or lack a right.
        for (function, reason) in [
            ("public.is_member(uuid,uuid)", "without end"),
            ("public.count_hidden()", "no such right on public.hidden"),
        ] {
            let found = report.one("PGT405", &format!("function {function}"));
            assert!(found["fix"].is_null(), "{found}");
            assert!(
                found["detail"].as_str().unwrap().contains(reason),
                "{found}"
            );
        }
        report.assert_has(&[
            "PGT415 function public.my_teams()",
            "PGT311 policy all_of_them on public.plans",
            "PGT209 table storage.buckets",
            "PGT209 table storage.uploads",
        ]);
        let application = Application {
            tenant: ("request.jwt.claim.sub", A),
            statements: &[
                ("SELECT name FROM teams", "one\n"),
                ("SELECT count(*) FROM memberships", "1\n"),
                ("SELECT title FROM documents", "one\n"),
                ("SELECT body FROM comments WHERE body = 'one'", "one\n"),
                ("SELECT body FROM notes WHERE body = 'one'", "one\n"),
                ("SELECT count_hidden()", "1\n"),
                ("SELECT name FROM storage.objects", "a\n"),
                ("SELECT count(*) FROM storage.uploads", "1\n"),
                (
                    "SELECT is_member('10000000-0000-4000-8000-000000000000', auth.uid())",
                    "t\n",
                ),
            ],
        };
        lab.fix(&configuration, "teams", Some(&application));
        let rest = "SET ROLE wellness_app; SET request.jwt.claim.sub = \
                    'aaaaaaaa-0000-4000-8000-000000000001'; \
                    SELECT count(*) FROM comments; SELECT count(*) FROM notes; SELECT count_documents()";
        assert_eq!(lab.sql("teams_copy", rest), "1\n1\n1\n");
    });
}

#[test]
fn accounts_with_integers_and_an_audit_trigger() {
    on_each_version(|lab| {
        lab.database("rails", include_str!("sql/rails.sql"));
        let configuration = lab.tenants("rails", "app.account", &["1", "2"]);
        let report = lab.check(&configuration);
        report.assert_complete();
        report.assert_has(&[
            "PGT103 table public.projects",
            "PGT408 function public.any_of(text)",
            "PGT409 trigger forward on public.todos",
            "PGT414 function public.audit()",
            "PGT414 function public.rows_of(text)",
            "PGT501 constraint projects_name_key on public.projects",
            "PGT501 constraint bookings_during_excl on public.bookings",
            "PGT503 constraint todos_project_id_fkey on public.todos",
            "PGT504 index public.accounts_subdomain_key",
            "PGT209 table public.schema_migrations",
        ]);
        assert_eq!(report.of_check("PGT409").len(), 1, "{:#?}", report.list());
        assert!(report.of_check("PGT409")[0]["fix"].is_null());
        let application = Application {
            tenant: ("app.account", "1"),
            statements: &[
                ("SELECT name FROM projects WHERE name = 'one'", "one\n"),
                (
                    "INSERT INTO projects (account_id, name) VALUES (1, 'new') RETURNING id > 0",
                    "t\n",
                ),
                (
                    "INSERT INTO projects (account_id, name) VALUES (1, 'n'); SELECT count(*) FROM audits WHERE row->>'name' = 'n'",
                    "1\n",
                ),
                ("SELECT rows_of('bookings')", "0\n"),
                ("SELECT version FROM schema_migrations", ""),
                (
                    "INSERT INTO todos (account_id, project_id, title) VALUES (1, 1, '2') RETURNING title",
                    "2\n",
                ),
            ],
        };
        lab.fix(&configuration, "rails", Some(&application));
    });
}

#[test]
fn ids_that_are_texts_of_some_length() {
    on_each_version(|lab| {
        lab.database("realms", include_str!("sql/realms.sql"));
        let configuration = lab.tenants("realms", "app.realm", &["acme", "acme-europe"]);
        let report = lab.check(&configuration);
        report.assert_complete();
        assert_eq!(
            errors(&report),
            [
                "PGT201 table public.old",
                "PGT201 table public.numbered",
                "PGT309 policy realm on public.short",
            ]
            .map(str::to_owned)
            .into()
        );
        let numbered = report.one("PGT201", "table public.numbered");
        assert!(
            numbered["detail"]
                .as_str()
                .unwrap()
                .contains("here integer"),
            "{numbered}"
        );
        report.assert_has(&["PGT310 policy realm on public.fixed"]);
        let of_europe = "SET ROLE wellness_app; SET app.realm = 'acme-europe'; SELECT count(*) FROM short; \
                         SELECT count(*) FROM old";
        assert_eq!(lab.sql("realms", of_europe), "1\n2\n");
        let application = Application {
            tenant: ("app.realm", "acme"),
            statements: &[
                ("SELECT realm_id FROM short", "acme\n"),
                ("SELECT client_id FROM client", "acme\n"),
                ("SELECT realm_id FROM old WHERE realm_id = 'acme'", "acme\n"),
            ],
        };
        lab.fix(&configuration, "realms", Some(&application));
        assert_eq!(lab.sql("realms_copy", of_europe), "0\n1\n");
    });
}

#[test]
fn a_distribution_column_that_is_compared_as_another_type() {
    on_each_version(|lab| {
        lab.database("stores", include_str!("sql/distributed.sql"));
        let configuration = lab.tenants("stores", "app.tenant_id", &[A, B]);
        let report = lab.check(&configuration);
        report.assert_complete();
        report.assert_has(&[
            "PGT201 table public.untold",
            "PGT201 table public.transfers",
        ]);
        // Whose row is it: the giver's or the taker's?
        assert!(report.one("PGT201", "table public.transfers")["fix"].is_null());
        let index = report.one("PGT208", "table public.events");
        assert_eq!(
            index["fix"],
            "CREATE INDEX ON public.events (((tenant_id)::uuid));"
        );
        let application = Application {
            tenant: ("app.tenant_id", A),
            statements: &[
                ("SELECT count(*) FROM events", "2000\n"),
                (
                    "SELECT count(*) FROM orders JOIN lines ON (lines.tenant_id, order_id) = (orders.tenant_id, id)",
                    "1\n",
                ),
                (
                    "SELECT tenant_id FROM untold WHERE tenant_id::text LIKE 'a%'",
                    "aaaaaaaa-0000-4000-8000-000000000001\n",
                ),
            ],
        };
        lab.fix(&configuration, "stores", Some(&application));
        let plan = "SET ROLE wellness_app; SET enable_seqscan = off; SET app.tenant_id = \
                    'aaaaaaaa-0000-4000-8000-000000000001'; EXPLAIN SELECT * FROM events";
        let plan = lab.sql("stores_copy", plan);
        assert!(plan.contains("Index Cond"), "{plan}");
    });
}

#[test]
fn tables_between_tables_and_ids_of_fixed_length() {
    on_each_version(|lab| {
        lab.database("blog", include_str!("sql/frameworks.sql"));
        let configuration = lab.tenants("blog", "app.tenant", &[A, B]);
        let report = lab.check(&configuration);
        report.assert_complete();
        assert_eq!(
            errors(&report),
            [
                "PGT203 table public.tenants",
                "PGT210 table public.attachments",
                "PGT210 table public.post_tag",
                "PGT401 view public.latest",
                "PGT401 view public.secret_names",
            ]
            .map(str::to_owned)
            .into()
        );
        // An attachment may belong to no post; readers of names may not read secrets.
        for (id, object) in [
            ("PGT210", "table public.attachments"),
            ("PGT401", "view public.secret_names"),
        ] {
            let found = report.one(id, object);
            assert!(found["fix"].is_null(), "{found}");
        }
        report.assert_has(&[
            "PGT209 table public.django_content_type",
            // By its name alone account_id is no tenant column.
            "PGT209 table public.payments",
            "PGT304 policy own on public.settings",
            "PGT501 index public.posts_slug",
        ]);
        let application = Application {
            tenant: ("app.tenant", A),
            statements: &[
                ("SELECT slug FROM posts", "a\n"),
                (
                    "SELECT t.name FROM posts p JOIN post_tag ON post_id = p.id JOIN tags t ON tag_id = t.id",
                    "a\n",
                ),
                (
                    "INSERT INTO post_tag (post_id, tag_id) VALUES (1, 1) RETURNING post_id",
                    "1\n",
                ),
                ("SELECT path FROM attachments WHERE path = 'a'", "a\n"),
                ("SELECT slug FROM latest WHERE slug = 'a'", "a\n"),
                ("SELECT name FROM secret_names WHERE name = 'a'", "a\n"),
                ("SELECT name FROM tenants WHERE name = 'a'", "a\n"),
                ("SELECT count(*) FROM payments", "0\n"),
            ],
        };
        lab.fix(&configuration, "blog", Some(&application));
        let own = "SET ROLE wellness_app; SET app.tenant = 'aaaaaaaa-0000-4000-8000-000000000001'; \
                   SELECT count(*) FROM post_tag; SELECT count(*) FROM latest; SELECT count(*) FROM tenants";
        assert_eq!(lab.sql("blog_copy", own), "1\n1\n1\n");
    });
}

#[test]
fn a_setting_that_no_policy_reads() {
    on_each_version(|lab| {
        lab.database(
            "misread",
            "CREATE TABLE entries (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);
             CREATE POLICY own ON entries USING (tenant_id =
                 (SELECT current_setting('app.current_tenant'))::uuid);
             ALTER TABLE entries ENABLE ROW LEVEL SECURITY;
             GRANT SELECT ON entries TO wellness_app;",
        );
        let wrong = lab.tenants("misread", "app.tenant", &[A]);
        let report = lab.check(&wrong);
        let found = report.one("PGT308", "setting app.tenant");
        assert_eq!(found["detail"], "policies read others: app.current_tenant");
        assert_eq!(report.status, Some(5));
        let right = lab.tenants("misread", "app.current_tenant", &[A, "acme"]);
        let report = lab.check(&right);
        assert_eq!(errors(&report), ["PGT312 tenant acme".to_owned()].into());
    });
}

fn errors(report: &Report) -> std::collections::BTreeSet<String> {
    let errors = report.findings().iter().zip(report.list());
    errors
        .filter(|(finding, _)| finding["severity"] == "error")
        .map(|(_, name)| name)
        .collect()
}
