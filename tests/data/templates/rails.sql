-- As migrations of a Rails application leave a schema.
CREATE SCHEMA tmpl;
SET search_path = tmpl;
CREATE TYPE plan AS ENUM ('free', 'team', 'it''s "big"');
CREATE TABLE accounts (
    id bigserial PRIMARY KEY, name varchar NOT NULL, plan plan NOT NULL DEFAULT 'free',
    status varchar(20) NOT NULL DEFAULT 'active'
        CONSTRAINT known_status CHECK (status IN ('active', 'paused', 'closed')),
    settings jsonb NOT NULL DEFAULT '{}', created_at timestamp(6) NOT NULL DEFAULT now());
CREATE TABLE "users" (
    id bigserial PRIMARY KEY, account_id bigint NOT NULL, email varchar NOT NULL,
    role varchar DEFAULT 'member', deleted_at timestamp, position integer,
    CONSTRAINT fk_rails_1 FOREIGN KEY (account_id) REFERENCES accounts (id)
        DEFERRABLE INITIALLY DEFERRED);
CREATE UNIQUE INDEX index_users_on_email ON users (lower(email)) WHERE deleted_at IS NULL;
CREATE INDEX index_users_on_role ON users (account_id) WHERE role IN ('admin', 'owner');
CREATE INDEX index_users_on_both ON users ((role || ':' || email), account_id DESC);
CREATE VIEW active_users AS
    WITH users AS (SELECT * FROM users WHERE deleted_at IS NULL)
    SELECT users.* FROM users JOIN accounts a ON a.id = users.account_id
    WHERE a.status IN ('active', 'paused');
CREATE VIEW of_everyone AS
    WITH accounts AS (SELECT id, name FROM accounts)
    SELECT u.email, (SELECT count(*) FROM (WITH users AS (SELECT * FROM users) TABLE users) x) AS n
    FROM users u JOIN accounts ON accounts.id = u.account_id;
CREATE MATERIALIZED VIEW totals AS
    WITH users AS (SELECT * FROM users)
    SELECT account_id, count(*) AS n FROM users WHERE role IN ('admin', 'member') GROUP BY 1;
CREATE UNIQUE INDEX ON totals (account_id);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.created_at := now(); RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE UPDATE ON accounts FOR EACH ROW
    WHEN (NEW.status IN ('active', 'paused') AND OLD.* IS DISTINCT FROM NEW.*)
    EXECUTE FUNCTION stamp();
CREATE FUNCTION admins(a bigint DEFAULT 1) RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC
    WITH users AS (SELECT * FROM users WHERE role IN ('admin'))
    SELECT count(*) FROM users WHERE account_id = a;
END;
CREATE STATISTICS of_users (ndistinct, mcv) ON account_id, (lower(email)) FROM users;
COMMENT ON TABLE users IS 'Users'' table';
COMMENT ON COLUMN users.role IS 'one of tmpl''s roles';
INSERT INTO accounts (name) VALUES ('secret of the template');
INSERT INTO users (account_id, email) VALUES (1, 'secret@template');
REFRESH MATERIALIZED VIEW totals;
