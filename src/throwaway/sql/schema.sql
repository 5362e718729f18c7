-- WellnessCorp, a schema per company: when a company joins (a row in companies),
-- a trigger makes its schema, its tables, and a role that can use nothing else.
REVOKE ALL ON DATABASE wellness_schemas FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

CREATE TABLE companies (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    schema_name text NOT NULL UNIQUE CHECK (schema_name ~ '^[a-z][a-z0-9_]{0,58}$'),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION create_company_schema() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    app_role text := NEW.schema_name || '_app';
BEGIN
    EXECUTE format('CREATE SCHEMA %I', NEW.schema_name);
    EXECUTE format(
        'CREATE TABLE %I.employee_logs (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            employee_email text NOT NULL,
            log_type text NOT NULL,
            note text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        )', NEW.schema_name);
    EXECUTE format(
        'CREATE TABLE %I.wellness_metrics (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            employee_email text NOT NULL,
            metric text NOT NULL,
            value integer NOT NULL,
            recorded_at timestamptz NOT NULL DEFAULT now()
        )', NEW.schema_name);
    EXECUTE format('CREATE ROLE %I LOGIN', app_role);
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), app_role);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', NEW.schema_name, app_role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %I',
                   NEW.schema_name, app_role);
    RETURN NEW;
END
$$;

CREATE TRIGGER create_company_schema
    AFTER INSERT ON companies
    FOR EACH ROW EXECUTE FUNCTION create_company_schema();
