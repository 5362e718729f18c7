"""Measures pgtenant against PgBouncer in one interleaved run. See benches/run."""

import argparse
import os
import platform
import re
import resource
import signal
import sys

import cases
import plot
import programs
import record
import rounds
import table
from failure import Failure
from workbench import Workbench

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")

# A machine that does this much before the start spoils the figures.
BUSY = 0.5


def main():
    sys.stdout.reconfigure(line_buffering=True)
    options = arguments()
    chosen = choose(options)
    if options.list:
        for group, case in chosen:
            print(f"{group.title}: {case.name}")
        return
    load = load_average()
    allow_open_files()
    os.makedirs(options.out, exist_ok=True)
    with Workbench(options.pgtenant, options.pgbouncer or programs.find("pgbouncer")) as bench:
        results = record.Record(options.out, about(bench, options, load))
        measure(bench, chosen, options, results)


def measure(bench, chosen, options, results):
    """Runs the cases, printing and recording each when it is done."""
    print(f"pgtenant {bench.pgtenant_version}, PgBouncer {bench.pgbouncer_version}; "
          f"{options.rounds} rounds of {options.seconds} s")
    print(table.LEGEND)
    last, done = None, []
    for group, case in chosen:
        if group is not last:
            table.print_group(group)
            last = group
        samples, problems = rounds.run(bench, case, options.rounds, options.seconds)
        table.print_case(group, case, samples, problems)
        results.add(group, case, samples, problems)
        done.append((group, case, samples))
        plot.write(os.path.join(options.out, "plot.svg"), done)
    print(f"\nAll samples: {results.path}\nPlot: {os.path.join(options.out, 'plot.svg')}")


def arguments():
    parser = argparse.ArgumentParser(
        prog="benches/run", description="Measures pgtenant against PgBouncer in one interleaved "
        "run. Prints a table, and writes a plot and all samples.")
    parser.add_argument("--only", metavar="REGEX", help="cases whose name (see --list) matches")
    parser.add_argument("--rounds", type=positive, metavar="N", help="samples of each (5)")
    parser.add_argument("--seconds", type=positive, metavar="S", help="length of a sample (4)")
    parser.add_argument("--quick", action="store_true",
                        help="2 rounds of 1 s, without the longest cases: does it run at all?")
    parser.add_argument("--pgtenant", metavar="PATH", help="a binary, instead of building one")
    parser.add_argument("--pgbouncer", metavar="PATH", help="a binary, instead of the system's")
    parser.add_argument("--out", metavar="DIR", default=os.path.join(ROOT, "target", "benches"),
                        help="where plot and samples go (target/benches)")
    parser.add_argument("--list", action="store_true", help="print the cases' names and stop")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (1 if options.quick else 4)
    if not options.list and not options.pgtenant:
        parser.error("--pgtenant is missing; start benches/run, which builds one")
    for name in ("pgtenant", "pgbouncer", "out"):
        path = getattr(options, name)
        setattr(options, name, os.path.abspath(path) if path else path)
    return options


def positive(text):
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def choose(options):
    """The groups and cases that were asked for."""
    try:
        wanted = re.compile(options.only or "", re.IGNORECASE)
    except re.error as error:
        raise Failure(f"--only is not a regular expression: {error}") from None
    chosen = [(group, case) for group in cases.GROUPS for case in group.cases
              if wanted.search(f"{group.title}: {case.name}")
              and not (options.quick and case.slow)]
    if not chosen:
        raise Failure("no case has a name that matches --only; --list prints them")
    return chosen


def load_average():
    """What else the machine does, with a warning when it is too much."""
    load = os.getloadavg()[0]
    if load > BUSY:
        print(f"warning: the load average is {load:.1f}: other work spoils the figures",
              file=sys.stderr)
    return load


def allow_open_files():
    """As many as we may, for us and all that we start: thousands of connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def about(bench, options, load):
    """What the figures depend on."""
    return {
        "pgtenant": bench.pgtenant_version,
        "pgbouncer": bench.pgbouncer_version,
        "postgresql": bench.database.sql("SHOW server_version"),
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "load_before": load,
        "rounds": options.rounds,
        "seconds": options.seconds,
    }


def stop_in_order(*_):
    """Makes SIGTERM and SIGHUP clean up as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop_in_order)
    signal.signal(signal.SIGHUP, stop_in_order)
    try:
        main()
    except Failure as failure:
        sys.exit(f"benches: {failure}")
    except KeyboardInterrupt:
        print("\nbenches: stopped; everything that was started is removed", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
