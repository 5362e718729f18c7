-- WellnessCorp, a database per company: the tables of the shared schema without
-- the column that says whose a row is.
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO wellness_app;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO wellness_app;

CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email text NOT NULL UNIQUE,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE wellness_entries (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    entry_type text NOT NULL,
    value integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT, UPDATE, DELETE ON users, wellness_entries TO wellness_app;

INSERT INTO users (email, password_hash) VALUES (:'email', 'hashed_password');
INSERT INTO wellness_entries (user_id, entry_type, value, created_at)
SELECT users.id, entry_type, value + :offset,
       date_trunc('day', now()) - days_ago * interval '1 day'
FROM users, (VALUES
    ('steps', 7015, 0), ('steps', 8230, 1), ('steps', 6544, 2), ('steps', 9801, 3),
    ('mood_check_in', 4, 0), ('mood_check_in', 5, 1), ('mood_check_in', 3, 2)
) AS entries (entry_type, value, days_ago);
