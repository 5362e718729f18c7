# Ruby's pg as Rails uses it. Arguments: connection strings of two logins.
require 'pg'

ALICE = 'alice@innovate.example'.freeze

def check(holds, what)
  raise what unless holds
end

def emails(connection)
  connection.exec('SELECT email FROM users').column_values(0)
end

def code
  yield
  nil
rescue PG::Error => e
  e.result.error_field(PG::Result::PG_DIAG_SQLSTATE)
end

def parameters(connection)
  connection.prepare('a1', 'SELECT $1::int + 1 AS n, email FROM users')
  5.times do |n|
    row = connection.exec_prepared('a1', [n])[0]
    check row == { 'n' => (n + 1).to_s, 'email' => ALICE }, 'a prepared statement'
  end
  check connection.exec_params('SELECT $1::text', ['é€𝄞']).getvalue(0, 0) == 'é€𝄞', 'a text'
  connection.exec('DEALLOCATE a1')
  check code { connection.exec_prepared('a1', [1]) } == '26000', 'it is gone'
end

# What Rails sends when it connects, and when it resets.
def settings(connection)
  connection.set_client_encoding('unicode')
  check connection.internal_encoding == Encoding::UTF_8, 'the encoding'
  connection.exec('SET client_min_messages TO warning')
  connection.exec('SET standard_conforming_strings = on')
  connection.exec("SET SESSION timezone TO 'UTC'")
  connection.exec('SHOW search_path')
  connection.exec('DISCARD ALL')
  connection.exec('RESET ALL; SET TimeZone = \'UTC\'')
end

def transactions(connection)
  connection.transaction do |within|
    within.exec('CREATE TEMP TABLE of_a_transaction (n int) ON COMMIT DROP')
    within.exec('SAVEPOINT active_record_1')
    check code { within.exec('SELECT 1/0') } == '22012', 'division'
    within.exec('ROLLBACK TO SAVEPOINT active_record_1')
    within.copy_data('COPY of_a_transaction FROM STDIN') do
      3.times { |n| within.put_copy_data("#{n}\n") }
    end
    check within.exec('SELECT count(*) FROM of_a_transaction').getvalue(0, 0) == '3', 'COPY'
  end
end

def pipelines(connection)
  connection.enter_pipeline_mode
  5.times { |n| connection.send_query_params('SELECT $1::int', [n]) }
  connection.pipeline_sync
  5.times do |n|
    check connection.get_result.getvalue(0, 0) == n.to_s, 'a pipeline'
    check connection.get_result.nil?, 'the end of an answer'
  end
  check connection.get_result.result_status == PG::PGRES_PIPELINE_SYNC, 'a Sync'
  connection.exit_pipeline_mode
end

def cancels(connection)
  connection.send_query('SELECT pg_sleep(30)')
  check connection.cancel.nil?, 'a cancel request'
  check code { connection.get_last_result } == '57014', 'cancelled'
end

# By FunctionCall messages.
def large_objects(connection)
  connection.transaction do |within|
    oid = within.lo_creat
    descriptor = within.lo_open(oid, PG::INV_READ | PG::INV_WRITE)
    within.lo_write(descriptor, 'content' * 1000)
    within.lo_lseek(descriptor, 0, PG::SEEK_SET)
    check within.lo_read(descriptor, 7000) == 'content' * 1000, 'a large object'
    within.lo_close(descriptor)
    within.lo_unlink(oid)
  end
end

own, other = ARGV.map { |url| PG.connect(url) }
%i[parameters settings transactions pipelines cancels large_objects].each do |part|
  send(part, own)
  check emails(own) == [ALICE], "#{part}: the own row"
  check !emails(other).include?(ALICE), "#{part}: the other's row"
end
[own, other].each(&:close)
