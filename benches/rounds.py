"""Running a case: its contestants in turn, round by round."""

import sys

from failure import Failure


def run(bench, case, rounds, seconds):
    """(samples, problems) of a case, both by the contestant's name.

    A contestant that fails is out for the rest of the case; what went wrong is
    its problem.
    """
    samples, problems = {}, {}
    active = {}
    try:
        for contestant in case.contestants:
            _enter(bench, contestant, active, problems)
        for number in range(min(rounds, case.most_rounds)):
            # Every second round backwards: nobody is always the first.
            order = case.contestants[::-1] if number % 2 else case.contestants
            for contestant in order:
                if contestant.name in active:
                    _sample(bench, contestant, active, samples, problems, seconds)
    finally:
        bench.stop_proxies()
    return samples, problems


def _enter(bench, contestant, active, problems):
    why = contestant.proxy.lacks(bench, contestant.load.mode)
    if why:
        problems[contestant.name] = why
        return
    try:
        # Two contestants may be one proxy with two loads.
        running = next((r for c, r in active.values() if c.proxy == contestant.proxy), None)
        active[contestant.name] = contestant, running or bench.start(contestant.proxy)
    except Failure as failure:
        problems[contestant.name] = str(failure)


def _sample(bench, contestant, active, samples, problems, seconds):
    _, running = active[contestant.name]
    load, own = contestant.load, None
    if sys.stderr.isatty():
        print(f"\r\033[K  ... {contestant.name}", end="\r", file=sys.stderr, flush=True)
    try:
        if load.fresh:
            own = running = bench.start(contestant.proxy)
        sample = load.sample(bench, running, seconds)
        samples.setdefault(contestant.name, []).append(sample)
    except (Failure, OSError) as failure:
        problems[contestant.name] = str(failure)
        del active[contestant.name]
    finally:
        if own:
            bench.stop(own)
