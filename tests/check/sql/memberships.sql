-- Teams and their members, as Supabase's documentation has them: who asks is in a
-- claim; a function tells the teams of a user past the policy of its own table.
SET check_function_bodies = off;
CREATE SCHEMA auth; GRANT USAGE ON SCHEMA auth TO wellness_app;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE
    AS $$ SELECT nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
CREATE TABLE teams (id uuid PRIMARY KEY, name text NOT NULL);
CREATE TABLE memberships (
    team_id uuid NOT NULL REFERENCES teams, user_id uuid NOT NULL, PRIMARY KEY (team_id, user_id));
CREATE INDEX ON memberships (user_id);
CREATE FUNCTION my_teams() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = '' AS $$ SELECT team_id FROM public.memberships WHERE user_id = (SELECT auth.uid()) $$;
CREATE FUNCTION is_member(of_team uuid, of_user uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = '' AS $$ SELECT EXISTS (SELECT FROM public.memberships m
                                 WHERE m.team_id = of_team AND m.user_id = of_user) $$;
CREATE FUNCTION count_documents() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = '' AS $$ SELECT count(*) FROM public.documents $$;
CREATE TABLE hidden (id uuid PRIMARY KEY, team_id uuid NOT NULL);
CREATE FUNCTION count_hidden() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = '' AS $$ SELECT count(*) FROM public.hidden WHERE team_id IN (SELECT public.my_teams()) $$;
CREATE TABLE documents (id uuid PRIMARY KEY, team_id uuid NOT NULL REFERENCES teams, title text);
CREATE INDEX ON documents (team_id);
CREATE TABLE comments (id uuid PRIMARY KEY, document_id uuid NOT NULL REFERENCES documents, body text);
CREATE TABLE notes (id uuid PRIMARY KEY, team_id uuid NOT NULL, body text);
ALTER TABLE teams ENABLE ROW LEVEL SECURITY;
ALTER TABLE memberships ENABLE ROW LEVEL SECURITY;
ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON teams USING (id IN (SELECT my_teams()));
CREATE POLICY mine ON memberships USING (is_member(team_id, (SELECT auth.uid())));
CREATE POLICY mine ON documents USING (team_id IN (SELECT my_teams()));
CREATE POLICY mine ON hidden USING (team_id IN (SELECT my_teams()));
CREATE TABLE plans (code text PRIMARY KEY);
ALTER TABLE plans ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of_them ON plans FOR SELECT USING (true);

-- Files: by bucket, which says nothing of the tenant, and owner, who is one.
CREATE SCHEMA storage; GRANT USAGE ON SCHEMA storage TO wellness_app;
CREATE TABLE storage.buckets (id text PRIMARY KEY, public boolean);
CREATE TABLE storage.objects (id uuid PRIMARY KEY, bucket_id text REFERENCES storage.buckets,
    name text, owner uuid);
CREATE INDEX ON storage.objects (owner);
CREATE TABLE storage.uploads (id text PRIMARY KEY, bucket_id text REFERENCES storage.buckets);
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
CREATE POLICY avatars ON storage.objects USING ((SELECT auth.uid()) = owner AND bucket_id = 'avatars');

GRANT SELECT, INSERT, UPDATE, DELETE ON teams, memberships, documents, comments, notes TO wellness_app;
GRANT SELECT ON plans TO wellness_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA storage TO wellness_app;
INSERT INTO teams VALUES ('10000000-0000-4000-8000-000000000000', 'one'), ('20000000-0000-4000-8000-000000000000', 'two');
INSERT INTO memberships VALUES
    ('10000000-0000-4000-8000-000000000000', 'aaaaaaaa-0000-4000-8000-000000000001'),
    ('20000000-0000-4000-8000-000000000000', 'bbbbbbbb-0000-4000-8000-000000000002');
INSERT INTO documents SELECT id, id, name FROM teams;
INSERT INTO comments SELECT id, id, name FROM teams;
INSERT INTO hidden SELECT id, id FROM teams;
INSERT INTO notes SELECT id, id, name FROM teams;
INSERT INTO storage.buckets VALUES ('avatars', true);
INSERT INTO storage.objects VALUES (gen_random_uuid(), 'avatars', 'a', 'aaaaaaaa-0000-4000-8000-000000000001');
INSERT INTO storage.objects VALUES (gen_random_uuid(), 'avatars', 'b', 'bbbbbbbb-0000-4000-8000-000000000002');
INSERT INTO storage.uploads VALUES ('u', 'avatars');
