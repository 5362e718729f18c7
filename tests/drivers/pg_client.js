// node-postgres as applications use it. Argument: a connection string.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { Client, Pool } = require('pg');

const url = new URL(process.argv[2]);
const options = {
  host: url.hostname,
  port: Number(url.port),
  user: url.username,
  password: url.password,
  database: url.pathname.slice(1),
  ssl: { ca: fs.readFileSync(url.searchParams.get('sslrootcert')), rejectUnauthorized: true },
};
const OWN = ['alice@innovate.example'];
const EMAILS = 'SELECT email FROM users';

async function main() {
  const pool = new Pool({ ...options, max: 4 });
  for (const part of [parameters, prepared, together, transactions, ownSettings, refusals]) {
    await part(pool);
    assert.deepEqual(await emails(pool), OWN, part.name);
  }
  await pool.end();
  await startup();
}

async function emails(client) {
  return (await client.query(EMAILS)).rows.map((row) => row.email);
}

async function parameters(pool) {
  const { rows } = await pool.query('SELECT $1::int AS a, $2::text AS b, $3::int[] AS c, $4::text AS d', [
    1, 'é€𝄞', [1, 2], null,
  ]);
  assert.deepEqual(rows, [{ a: 1, b: 'é€𝄞', c: [1, 2], d: null }]);
  const several = await pool.query('SELECT 1 AS a; SELECT 2 AS a');
  assert.deepEqual(several.map((result) => result.rows[0].a), [1, 2]);
  const { rows: large } = await pool.query('SELECT length($1) AS n', ['x'.repeat(1000000)]);
  assert.equal(large[0].n, 1000000);
}

async function prepared(pool) {
  const query = { name: 'by-number', text: 'SELECT email, $1::int AS n FROM users' };
  const results = await Promise.all(Array.from({ length: 50 }, (_, n) => pool.query({ ...query, values: [n] })));
  results.forEach((result, n) => assert.deepEqual(result.rows, [{ email: OWN[0], n }]));
}

async function together(pool) {
  const client = await pool.connect();
  // Queued in the client, sent one after another.
  const results = await Promise.allSettled(
    Array.from({ length: 60 }, (_, n) => client.query(n % 10 === 5 ? 'SELECT 1/0' : `SELECT ${n} AS n`)),
  );
  results.forEach((result, n) => {
    if (n % 10 === 5) assert.equal(result.reason.code, '22012');
    else assert.equal(result.value.rows[0].n, n);
  });
  client.release();
}

async function transactions(pool) {
  const insert =
    'INSERT INTO wellness_entries (user_id, organization_id, entry_type, value) ' +
    'SELECT id, organization_id, $1, $2 FROM users';
  const count = async (c) => Number((await c.query('SELECT count(*) AS n FROM wellness_entries')).rows[0].n);
  const client = await pool.connect();
  const before = await count(client);
  for (const [end, more] of [['ROLLBACK', 0], ['COMMIT', 1]]) {
    await client.query('BEGIN');
    await client.query(insert, ['inserted', 7]);
    assert.equal(await count(client), before + 1);
    await client.query(end);
    assert.equal(await count(pool), before + more);
  }
  await client.query('BEGIN');
  await assert.rejects(client.query('SELECT 1/0'), { code: '22012' });
  await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
  await client.query('ROLLBACK');
  client.release();
}

async function ownSettings(pool) {
  const client = await pool.connect();
  await client.query("SET TIME ZONE 'Asia/Tokyo'");
  assert.equal((await client.query('SHOW TimeZone')).rows[0].TimeZone, 'Asia/Tokyo');
  await client.query('DISCARD ALL');
  assert.notEqual((await client.query('SHOW TimeZone')).rows[0].TimeZone, 'Asia/Tokyo');
  client.release();
}

async function refusals(pool) {
  const name = 'session.current_organization_id';
  const other = '22222222-2222-2222-2222-222222222222';
  for (const query of [
    [`SET ${name} = '${other}'`],
    ['SELECT set_config($1, $2, false)', [name, other]],
    [`SELECT 1; SET ${name} = '${other}'`],
  ]) {
    const error = await pool.query(...query).then(
      () => assert.fail(query[0]),
      (error) => error,
    );
    assert.equal(error.code, '42501', query[0]);
    assert.ok(error.hint, query[0]);
    assert.deepEqual(await emails(pool), OWN);
  }
}

async function startup() {
  const client = new Client({ ...options, application_name: 'mine', statement_timeout: 7000 });
  await client.connect();
  assert.equal((await client.query('SHOW application_name')).rows[0].application_name, 'mine');
  assert.equal((await client.query('SHOW statement_timeout')).rows[0].statement_timeout, '7s');
  await client.end();
  const wrong = new Client({ ...options, password: 'wrong' });
  await assert.rejects(wrong.connect(), { code: '28P01' });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
