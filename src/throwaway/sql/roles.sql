-- The application's role. It may log in and nothing more.
CREATE ROLE wellness_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
ALTER ROLE wellness_app PASSWORD :'app_verifier';
