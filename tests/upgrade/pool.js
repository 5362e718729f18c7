// Works on a pool of node-postgres', until standard input ends; at each line of it, until
// some more transactions are done. Then it says how many have failed.
"use strict";
const readline = require("readline");
const { Pool } = require("pg");

const pool = new Pool({ connectionString: process.argv[2], max: 4 });
// An idle connection was closed: the pool opens another one.
pool.on("error", () => {});

let done = 0;
let failures = 0;
let stopped = false;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const work = async () => {
  while (!stopped) {
    try {
      await pool.query("SELECT count(*) FROM wellness_entries");
      done += 1;
    } catch (error) {
      console.error(error.message);
      failures += 1;
    }
    await pause(5);
  }
};

const main = async () => {
  const workers = Array.from({ length: 3 }, work);
  for await (const _ of readline.createInterface({ input: process.stdin })) {
    const before = done;
    while (done < before + 50) await pause(10);
    console.log("done");
  }
  stopped = true;
  await Promise.all(workers);
  console.log(`failures: ${failures}`);
  await pool.end();
};

main();
