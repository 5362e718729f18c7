// node-postgres at the console. Argument: a connection string.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { Client } = require('pg');

const url = new URL(process.argv[2]);

async function main() {
  const client = new Client({
    host: url.hostname,
    port: Number(url.port),
    user: url.username,
    password: url.password,
    database: url.pathname.slice(1),
    ssl: { ca: fs.readFileSync(url.searchParams.get('sslrootcert')), rejectUnauthorized: true },
  });
  await client.connect();
  const { rows } = await client.query('SHOW STATE');
  assert.deepEqual(rows.map((row) => row.key), ['active', 'paused', 'suspended']);
  const prepared = { name: 'lists', text: 'SHOW LISTS' };
  for (let n = 0; n < 2; n += 1) {
    const lists = await client.query(prepared);
    assert.equal(lists.rows.length, 14);
    assert.equal(typeof lists.rows[0].items, 'number');
  }
  await assert.rejects(client.query('SELECT now()'), /SHOW HELP/);
  await client.end();
}

main();
