"""Runs the test programs of the package, as many at the same time as there are cores:
most of them wait for servers and timers most of the time. What a program prints is
shown once it is over, if it has failed. Exits with 1 if any has."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

# Those that take longest, first: what is left at the end is short.
LONGEST = (
    "faithful", "escapes", "prove", "check", "sequences", "masking", "failover", "roles",
    "profiles", "handover", "seal", "relations", "drivers", "certificates", "provision",
    "abandoned", "malformed",
)
# Of each program, on each core.
THREADS = "3"


def programs(manifest):
    """Builds them. Gives (name, program, its package's folder), in the order in which they
    are started."""
    built = subprocess.run(
        ["cargo", "test", "--locked", "--manifest-path", manifest, "--no-run",
         "--message-format", "json-render-diagnostics"],
        stdout=subprocess.PIPE, check=False, text=True)
    if built.returncode != 0:
        sys.exit(built.returncode)
    found = []
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message["reason"] == "compiler-artifact" and message["profile"]["test"]:
            name = message["target"]["name"]
            folder = Path(message["manifest_path"]).parent
            found.append((name, message["executable"], folder))
    rank = {name: place for place, name in enumerate(LONGEST)}
    return sorted(found, key=lambda one: rank.get(one[0], len(LONGEST)))


def run(program, folder):
    started = time.monotonic()
    environment = {**os.environ}
    environment.setdefault("RUST_TEST_THREADS", THREADS)
    done = subprocess.run([program], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done, time.monotonic() - started


def summary(output):
    """The line that says how many tests there were."""
    lines = output.decode(errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.startswith("test result:")), "no result")


def main(manifest):
    failed = []
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        runs = {pool.submit(run, program, folder): name
                for name, program, folder in programs(manifest)}
        for future in as_completed(runs):
            name = runs[future]
            done, took = future.result()
            told = summary(done.stdout)
            if done.returncode != 0 or told == "no result":
                failed.append(name)
                sys.stdout.write(done.stdout.decode(errors="replace"))
            print(f"{name}: {told.removeprefix('test result: ')}, {took:.0f} s", flush=True)
    documented = subprocess.run(
        ["cargo", "test", "--locked", "--manifest-path", manifest, "--doc"], check=False)
    if documented.returncode != 0:
        failed.append("documentation")
    print("failed: " + ", ".join(failed) if failed else "all tests passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
