SELECT db.oid, db.* FROM pg_catalog.pg_database db WHERE datallowconn AND NOT datistemplate OR db.datname = current_database()

SELECT current_schema(), session_user

SELECT sa.* FROM pg_catalog.pg_stat_activity sa

SELECT sa.* FROM pg_catalog.pg_stat_activity sa WHERE sa.state <> 'idle' OR sa.state IS NULL

with locks as (
    select pid, locktype, mode, granted, transactionid tid, relation, page, tuple from pg_locks
), conflict as (
    select * from (values ('AccessShareLock', 'AccessExclusiveLock', 1), ('RowShareLock', 'ExclusiveLock', 2)) as t (mode1, mode2, prt)
), waiting as (
    select la.pid blocked_pid, blocked.usename blocked_user, lb.pid blocking_pid, blocking.usename blocking_user,
        blocked.query blocked_statement, case when blocking.state = 'idle in transaction' then 'idle' end status
    from locks la
    join pg_catalog.pg_stat_activity blocked on blocked.pid = la.pid
    join locks lb on la.pid != lb.pid and (la.tid = lb.tid or (la.relation = lb.relation and la.locktype = lb.locktype))
    join conflict c on c.mode1 = la.mode and c.mode2 = lb.mode
    join pg_catalog.pg_stat_activity blocking on blocking.pid = lb.pid
    where not la.granted
)
select r.* from waiting r order by r.blocked_pid, r.blocking_pid

SELECT a.*, pg_catalog.pg_size_pretty(0::bigint) FROM pg_catalog.pg_prepared_xacts a

SELECT s.setting FROM pg_catalog.pg_settings s WHERE s.name = 'transaction_isolation'
