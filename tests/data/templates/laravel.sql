-- As a Laravel application and a careful administrator leave a schema.
CREATE SCHEMA tmpl;
SET search_path = tmpl;
CREATE DOMAIN status AS varchar(20) DEFAULT 'new' CHECK (VALUE IN ('new', 'open'))
    CONSTRAINT short CHECK (length(VALUE) < 9);
CREATE TABLE teams (id serial PRIMARY KEY, kind varchar(255) CHECK (kind IN ('a', 'b')) NOT NULL,
    tenant text NOT NULL DEFAULT current_setting('app.tenant', true));
CREATE TABLE posts (
    id bigserial PRIMARY KEY, team_id integer REFERENCES teams (id) ON DELETE CASCADE,
    status status, title varchar(255), tenant text NOT NULL DEFAULT 'x',
    parent_id bigint);
ALTER TABLE posts ADD FOREIGN KEY (parent_id) REFERENCES posts (id) NOT VALID;
ALTER TABLE teams ENABLE ROW LEVEL SECURITY;
ALTER TABLE posts ENABLE ROW LEVEL SECURITY;
-- Fails where the setting is not set.
CREATE POLICY own ON teams USING (tenant = current_setting('app.tenant'));
CREATE POLICY own ON posts USING (tenant = current_setting('app.tenant')
    AND title IN ('a', 'b') AND team_id IN (
        WITH teams AS (SELECT * FROM teams WHERE kind IN ('a')) SELECT id FROM teams))
    WITH CHECK (status IN ('new', 'open'));
CREATE MATERIALIZED VIEW by_kind AS SELECT kind, count(*) AS n FROM teams GROUP BY kind;
CREATE FUNCTION teams_of(k text) RETURNS SETOF teams LANGUAGE sql STABLE BEGIN ATOMIC
    WITH teams AS (SELECT * FROM teams) SELECT * FROM teams WHERE kind = k;
END;
CREATE FUNCTION rows_of() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN RETURN (SELECT count(*) FROM posts); END $$;
CREATE PROCEDURE tidy(a integer DEFAULT 1) LANGUAGE sql BEGIN ATOMIC
    DELETE FROM posts WHERE id IN (WITH posts AS (SELECT * FROM posts) SELECT id FROM posts);
END;
GRANT SELECT ON teams TO PUBLIC;
REVOKE EXECUTE ON FUNCTION rows_of() FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA tmpl GRANT SELECT ON TABLES TO PUBLIC;
COMMENT ON POLICY own ON teams IS 'by the setting';
COMMENT ON CONSTRAINT short ON DOMAIN status IS 'short';
ALTER TABLE teams FORCE ROW LEVEL SECURITY;
ALTER TABLE posts FORCE ROW LEVEL SECURITY;
