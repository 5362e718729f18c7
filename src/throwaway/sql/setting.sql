-- WellnessCorp, shared schema: every row names its organization, and row-level
-- security shows a session the rows of the organization that it is set to.
CREATE TABLE organizations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    email text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, email)
);

CREATE TABLE wellness_entries (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    entry_type text NOT NULL, -- for example 'steps', 'mood_check_in'
    value integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE wellness_entries ENABLE ROW LEVEL SECURITY;

CREATE POLICY tenant_isolation_policy ON users
    FOR ALL
    USING (organization_id = current_setting('session.current_organization_id')::UUID);

CREATE POLICY tenant_isolation_policy ON wellness_entries
    FOR ALL
    USING (organization_id = current_setting('session.current_organization_id')::UUID);

GRANT CONNECT ON DATABASE wellness_corp_db TO wellness_app;
GRANT USAGE ON SCHEMA public TO wellness_app;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON organizations, users, wellness_entries TO wellness_app;
