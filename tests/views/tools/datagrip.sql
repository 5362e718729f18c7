SET extra_float_digits = 3

SET application_name = 'DataGrip'

select current_database() as a, current_schemas(false) as b

SHOW TRANSACTION ISOLATION LEVEL

select round(extract(epoch from pg_postmaster_start_time() at time zone 'UTC')) as startup_time

select L.transactionid::varchar::bigint as transaction_id
from pg_catalog.pg_locks L
where L.transactionid is not null
order by pg_catalog.age(L.transactionid) desc
limit 1

select case when pg_catalog.pg_is_in_recovery() then null
  else (pg_catalog.txid_current() % 4294967296)::varchar::bigint end as current_txid

select D.oid::bigint as id, datname as name, S.description, pg_catalog.pg_get_userbyid(D.datdba) as "owner"
from pg_catalog.pg_database D left join pg_catalog.pg_shdescription S on D.oid = S.objoid

select C.oid::bigint as id, C.xmin as state_number, C.relkind, C.relname,
  pg_catalog.pg_get_viewdef(C.oid, true) as source
from pg_catalog.pg_class C join pg_catalog.pg_namespace N on N.oid = C.relnamespace
where N.nspname = 'public' and pg_catalog.age(C.xmin) <= coalesce(nullif(greatest(pg_catalog.age('1'::varchar::xid), -1), -1), 2147483647)

select pid, usename, datname, state, query, query_start from pg_stat_activity where pid <> pg_backend_pid()
