-- Django's and Laravel's traits: ids of fixed length, tables between tables without
-- a tenant column, rows that may belong to nothing, tables that all share.
CREATE TABLE tenants (id char(36) PRIMARY KEY, name text NOT NULL);
CREATE TABLE posts (id bigserial PRIMARY KEY, tenant_id char(36) NOT NULL REFERENCES tenants, slug text);
CREATE TABLE tags (id bigserial PRIMARY KEY, tenant_id char(36) NOT NULL REFERENCES tenants, name text);
CREATE TABLE post_tag (id bigserial PRIMARY KEY, post_id bigint NOT NULL REFERENCES posts, tag_id bigint NOT NULL REFERENCES tags);
CREATE TABLE attachments (id bigserial PRIMARY KEY, post_id bigint REFERENCES posts, path text);
CREATE TABLE settings (id bigserial PRIMARY KEY, tenant_id char(36) REFERENCES tenants, value text);
CREATE TABLE django_content_type (id serial PRIMARY KEY, model text);
CREATE TABLE payments (id bigserial PRIMARY KEY, account_id bigint, paid numeric);
CREATE UNIQUE INDEX posts_slug ON posts (slug);
CREATE VIEW latest AS SELECT id, slug FROM posts;
CREATE TABLE secrets (id bigserial PRIMARY KEY, tenant_id char(36) NOT NULL REFERENCES tenants, name text, secret text);
CREATE VIEW secret_names AS SELECT id, name FROM secrets;
CREATE POLICY own ON posts USING (tenant_id = current_setting('app.tenant'));
CREATE POLICY own ON tags USING (tenant_id = current_setting('app.tenant'));
CREATE POLICY own ON secrets USING (tenant_id = current_setting('app.tenant'));
CREATE POLICY own ON settings USING (tenant_id IS NULL OR tenant_id = current_setting('app.tenant'));
ALTER TABLE posts ENABLE ROW LEVEL SECURITY; ALTER TABLE tags ENABLE ROW LEVEL SECURITY;
ALTER TABLE settings ENABLE ROW LEVEL SECURITY; ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO wellness_app;
REVOKE ALL ON secrets FROM wellness_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO wellness_app;
INSERT INTO tenants VALUES ('aaaaaaaa-0000-4000-8000-000000000001', 'a'), ('bbbbbbbb-0000-4000-8000-000000000002', 'b');
INSERT INTO posts (tenant_id, slug) SELECT id, name FROM tenants;
INSERT INTO tags (tenant_id, name) SELECT id, name FROM tenants;
INSERT INTO post_tag (post_id, tag_id) SELECT p.id, t.id FROM posts p JOIN tags t USING (tenant_id);
INSERT INTO attachments (post_id, path) SELECT id, slug FROM posts;
INSERT INTO secrets (tenant_id, name) SELECT id, name FROM tenants;
