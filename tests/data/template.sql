-- A schema with one of everything that can be copied.
CREATE SCHEMA shared;
CREATE TABLE shared.countries (code text PRIMARY KEY);
CREATE SCHEMA tmpl;
SET search_path = tmpl;
CREATE TYPE mood AS ENUM ('sad','o''k','happy');
CREATE DOMAIN email AS text CHECK (VALUE ~ '@') NOT NULL;
CREATE TYPE pair AS (a int, b text COLLATE "C");
CREATE FUNCTION norm(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower(t) $$;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := now(); RETURN NEW; END $$;
CREATE SEQUENCE tickets START 100 INCREMENT 5 CYCLE;
CREATE TABLE "Odd ""Table" (id int GENERATED ALWAYS AS IDENTITY (START 7) PRIMARY KEY, m mood DEFAULT 'sad', p pair, x text GENERATED ALWAYS AS (norm('A')) STORED);
CREATE TABLE employees (
  id bigserial PRIMARY KEY, email email UNIQUE, boss bigint REFERENCES employees(id) ON DELETE SET NULL DEFERRABLE,
  odd int REFERENCES "Odd ""Table"(id), country text REFERENCES shared.countries, ticket bigint DEFAULT nextval('tickets'),
  salary numeric(10,2) CHECK (salary > 0), note varchar(20) COLLATE "C" NOT NULL DEFAULT 'it''s', changed timestamptz, during tstzrange);
ALTER TABLE employees ADD CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&) WHERE (salary > 1);
CREATE INDEX ON employees (norm(note)) WHERE salary IS NOT NULL;
CREATE UNIQUE INDEX emp_u ON employees (lower(note), odd DESC NULLS LAST) INCLUDE (salary);
ALTER TABLE employees REPLICA IDENTITY FULL; ALTER TABLE employees ALTER note SET STORAGE EXTERNAL, ALTER note SET STATISTICS 50;
CREATE TRIGGER touch BEFORE UPDATE OF note ON employees FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION touch();
CREATE TRIGGER off BEFORE INSERT ON employees FOR EACH ROW EXECUTE FUNCTION touch(); ALTER TABLE employees DISABLE TRIGGER off;
CREATE VIEW staff WITH (security_barrier=true) AS SELECT e.id, e.email, o.m, count(*) FROM employees e LEFT JOIN "Odd ""Table" o ON o.id=e.odd GROUP BY e.id, o.m;
CREATE VIEW staff2 AS SELECT * FROM staff WHERE m = 'happy';
CREATE MATERIALIZED VIEW mv AS SELECT norm(note) n FROM employees; CREATE UNIQUE INDEX ON mv (n);
CREATE FUNCTION of_emp(e employees) RETURNS SETOF staff2 LANGUAGE sql BEGIN ATOMIC SELECT * FROM staff2 WHERE id = e.id; END;
CREATE PROCEDURE p(INOUT a int DEFAULT 3) LANGUAGE plpgsql AS 'begin a := 1; end';
ALTER TABLE employees ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON employees USING (true);
CREATE POLICY pol ON employees AS RESTRICTIVE FOR UPDATE USING (salary > 3) WITH CHECK (odd IN (SELECT id FROM "Odd ""Table"));
CREATE STATISTICS st (dependencies) ON odd, country FROM employees;
COMMENT ON TABLE employees IS 'people''s'; COMMENT ON COLUMN employees.note IS 'n'; COMMENT ON COLUMN pair.a IS 'aa'; COMMENT ON VIEW staff IS 'v'; COMMENT ON INDEX emp_u IS 'i'; COMMENT ON CONSTRAINT no_overlap ON employees IS 'c'; COMMENT ON FUNCTION norm IS 'f'; COMMENT ON TRIGGER touch ON employees IS 't'; COMMENT ON POLICY pol ON employees IS 'p'; COMMENT ON STATISTICS st IS 's'; COMMENT ON DOMAIN email IS 'd'; COMMENT ON SEQUENCE tickets IS 'q';
CREATE UNLOGGED TABLE ul (a int) WITH (fillfactor=70, autovacuum_enabled=false);
CREATE TABLE empty ();
ALTER TABLE ul ADD b int NOT NULL, ADD CONSTRAINT q CHECK (b>1) NOT VALID;
