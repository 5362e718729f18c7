"""The printed table."""

from samples import Summary

LEGEND = """Medians (lowest..highest). x is the ratio to the first contestant of the case, or to the
one that the line ends with. It is only written where the ranges do not overlap; ~ where they
do: no difference was seen; ? where there are fewer than 3 samples."""


def print_group(group):
    """The heading of a group."""
    print(f"\n{group.title}\n{'=' * len(group.title)}\n{group.note}\n")
    heading = f"{'':30}" + "".join(f"{m.title:>27}{'x':>7}" for m in group.metrics)
    print(heading + f"{'failed':>8}")


def print_case(group, case, samples, problems):
    """The lines of a case. Samples and problems are by the contestant's name."""
    print(case.name)
    first = case.contestants[0].name
    for contestant in case.contestants:
        name, against = contestant.name, contestant.against or first
        base = {} if name == against else _summaries(group, samples.get(against, []))
        if samples.get(name):
            own = _summaries(group, samples[name])
            cells = "".join(_cell(own.get(m.key), base.get(m.key)) for m in group.metrics)
            failed = sum(sample["failed"] for sample in samples[name])
            note = f"  x: to {against}" if contestant.against else ""
            print(f"  {name:28}{cells}{failed:8.0f}{note}")
        if name in problems:
            print(f"  {name:28}  {problems[name]}")


def figure(value):
    """A number with about three digits that count."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def _summaries(group, samples):
    return {m.key: Summary(s[m.key] for s in samples) for m in group.metrics
            if samples and all(m.key in s for s in samples)}


def _cell(own, base):
    if own is None:
        return f"{'':34}"
    text = f"{figure(own.median)} ({figure(own.low)}..{figure(own.high)})"
    return f"{text:>27}{_ratio(own, base):>7}"


def _ratio(own, base):
    ratio = own.ratio(base) if base else None
    if ratio is None:
        return ""
    if not own.comparable(base):
        return "?"
    if not own.differs(base):
        return "~"
    return figure(ratio) if ratio >= 0.01 else "<0.01"
