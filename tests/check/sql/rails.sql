-- Accounts in the manner of acts_as_tenant: integers as keys, an audit trigger that
-- runs text, an owner that is the application.
CREATE TABLE accounts (id bigserial PRIMARY KEY, name text NOT NULL, subdomain text NOT NULL UNIQUE);
CREATE TABLE projects (id bigserial PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts,
    name text NOT NULL, UNIQUE (name));
CREATE TABLE todos (id bigserial PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts,
    project_id bigint NOT NULL REFERENCES projects, title text);
CREATE TABLE audits (id bigserial PRIMARY KEY, account_id bigint NOT NULL, of_table text, row jsonb);
CREATE TABLE bookings (id bigserial PRIMARY KEY, account_id bigint NOT NULL, during tsrange,
    EXCLUDE USING gist (during WITH &&));
CREATE TABLE schema_migrations (version text PRIMARY KEY);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE v_sql text;
BEGIN
    SET LOCAL app.audited = 'on';
    PERFORM set_config('app.actor', current_user, true);
    v_sql := format('INSERT INTO %I (account_id, of_table, row) VALUES ($1, %L, $2)', TG_ARGV[0], TG_TABLE_NAME);
    EXECUTE v_sql USING NEW.account_id, to_jsonb(NEW);
    RETURN NEW;
END $$;
CREATE FUNCTION forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN EXECUTE format('SELECT %s', NEW.title); RETURN NEW; END $$;
CREATE TRIGGER audit AFTER INSERT ON projects FOR EACH ROW EXECUTE FUNCTION audit('audits');
CREATE TRIGGER forward AFTER INSERT ON todos FOR EACH ROW EXECUTE FUNCTION forward();
CREATE FUNCTION rows_of(t text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; BEGIN EXECUTE 'SELECT count(*) FROM ' || quote_ident(t) INTO n; RETURN n; END $$;
CREATE FUNCTION any_of(f text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r text; BEGIN EXECUTE format('SELECT %I(%L, %L, false)', f, 'a.b', 'c') INTO r; RETURN r; END $$;
CREATE POLICY tenant ON accounts USING (id = (SELECT current_setting('app.account'))::bigint);
CREATE POLICY tenant ON projects USING (account_id = (SELECT current_setting('app.account'))::bigint);
CREATE POLICY tenant ON todos USING (account_id = (SELECT current_setting('app.account'))::bigint);
CREATE POLICY tenant ON audits USING (account_id = (SELECT current_setting('app.account'))::bigint);
CREATE POLICY tenant ON bookings USING (account_id = (SELECT current_setting('app.account'))::bigint);
DO $$ DECLARE t text; BEGIN
    FOREACH t IN ARRAY ARRAY['accounts', 'projects', 'todos', 'audits', 'bookings'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['accounts', 'projects', 'todos', 'audits', 'bookings', 'schema_migrations'] LOOP
        EXECUTE format('ALTER TABLE %I OWNER TO wellness_app', t);
    END LOOP;
END $$;
INSERT INTO accounts (name, subdomain) VALUES ('one', 'one'), ('two', 'two');
INSERT INTO projects (account_id, name) SELECT id, name FROM accounts;
INSERT INTO todos (account_id, project_id, title) SELECT account_id, id, '1' FROM projects;
