SELECT current_database(), current_user, current_setting('server_version'),
       current_schemas(false)::text[]::text, coalesce(current_schema(), ''),
       coalesce(host(inet_server_addr()), ''),
       (SELECT d.oid::text FROM pg_catalog.pg_database d WHERE d.datname = current_database())
