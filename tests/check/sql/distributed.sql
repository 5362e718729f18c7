-- A distribution column of text that policies compare as a uuid, in tables that
-- refer to each other with it.
CREATE TABLE stores (tenant_id text PRIMARY KEY, domain text UNIQUE);
CREATE TABLE orders (tenant_id text NOT NULL REFERENCES stores, id bigint, total numeric, PRIMARY KEY (tenant_id, id));
CREATE TABLE lines (tenant_id text NOT NULL, order_id bigint, n int, PRIMARY KEY (tenant_id, order_id, n),
    FOREIGN KEY (tenant_id, order_id) REFERENCES orders);
CREATE TABLE events (tenant_id text NOT NULL, id bigserial);
CREATE TABLE untold (tenant_id uuid NOT NULL, id bigserial);
CREATE TABLE transfers (id uuid PRIMARY KEY, giver text REFERENCES stores, taker text REFERENCES stores);
CREATE POLICY own ON stores USING (tenant_id::uuid = (SELECT current_setting('app.tenant_id'))::uuid);
CREATE POLICY own ON orders USING (tenant_id::uuid = (SELECT current_setting('app.tenant_id'))::uuid);
CREATE POLICY own ON lines USING (tenant_id::uuid = (SELECT current_setting('app.tenant_id'))::uuid);
CREATE POLICY own ON events USING (tenant_id::uuid = (SELECT current_setting('app.tenant_id'))::uuid);
ALTER TABLE stores ENABLE ROW LEVEL SECURITY; ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE lines ENABLE ROW LEVEL SECURITY; ALTER TABLE events ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO wellness_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO wellness_app;
INSERT INTO stores VALUES ('aaaaaaaa-0000-4000-8000-000000000001', 'a'), ('bbbbbbbb-0000-4000-8000-000000000002', 'b');
INSERT INTO orders SELECT tenant_id, 1, 2 FROM stores;
INSERT INTO lines SELECT tenant_id, 1, 1 FROM stores;
INSERT INTO events SELECT tenant_id FROM stores, generate_series(1, 2000);
INSERT INTO untold SELECT tenant_id::uuid FROM stores;
