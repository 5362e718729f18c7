"""The plot: of each case the leading metric, as the ratio to the first contestant."""

import math
from html import escape

from samples import Summary
from table import figure

WIDTH, LEFT, RIGHT = 1000, 470, 830  # of the axis: LEFT to RIGHT
LINE, HEAD = 18, 34
CAPTION = "Ratio to the first contestant of the case: median and range, logarithmic. Right: the median."
COLOURS = ["#777777", "#1f6fb4", "#c8571b", "#2c8a4b"]

STYLE = ("text{font:12px sans-serif;fill:#222}.g{font-weight:bold}.s{fill:#666;font-size:11px}"
         ".e{text-anchor:end}.m{text-anchor:middle}")


def write(path, done):
    """Writes the SVG of (group, case, samples) as far as the run has come."""
    rows = _rows(done)
    ratios = [r for row in rows if row[0] == "bar" for r in row[2:5]]
    if not ratios:
        return
    axis = _Axis(min(ratios), max(ratios))
    body, y = [f'<text x="10" y="18">{CAPTION}</text>'], 50
    for row in rows:
        y += HEAD if row[0] == "group" else LINE
        body += _draw(row, y, axis)
    height = y + 40
    with open(path, "w") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
                   f'width="{WIDTH}" height="{height}"><style>{STYLE}</style>'
                   f'<rect width="100%" height="100%" fill="#fff"/>'
                   + "".join(axis.draw(50, height - 30) + body) + "</svg>\n")


class _Axis:
    """Ratios on a logarithmic scale, with 1 on it."""

    def __init__(self, low, high):
        self._low = math.log(min(low, 0.5) / 1.05)
        self._high = math.log(max(high, 2) * 1.05)

    def x(self, ratio):
        share = (math.log(ratio) - self._low) / (self._high - self._low)
        return round(LEFT + share * (RIGHT - LEFT), 1)

    def draw(self, top, bottom):
        marks = [m * 10.0 ** e for e in range(-4, 5) for m in (1, 2, 5)]
        lines = []
        for mark in marks:
            if self._low <= math.log(mark) <= self._high:
                x, colour = self.x(mark), "#444" if mark == 1 else "#ddd"
                lines.append(f'<line x1="{x}" y1="{top}" x2="{x}" y2="{bottom}" '
                             f'stroke="{colour}"/>')
                lines.append(f'<text class="s m" x="{x}" y="{top - 6}">{mark:g}</text>')
        return lines


def _rows(done):
    """("group", title, metric), ("case", name), ("bar", name, ratios..., text, place)."""
    rows, last = [], None
    for group, case, samples in done:
        metric = group.metrics[0]
        found = [(place, contestant.name,
                  Summary(s[metric.key] for s in samples[contestant.name]))
                 for place, contestant in enumerate(case.contestants)
                 if samples.get(contestant.name)]
        # Without the first contestant there is nothing to compare with.
        if not found or found[0][0] != 0 or found[0][2].median <= 0:
            continue
        if group is not last:
            rows.append(("group", group.title, metric.title))
            last = group
        rows.append(("case", case.name))
        base = found[0][2].median
        for place, name, s in found:
            ratios = [max(v / base, 1e-3) for v in (s.low, s.median, s.high)]
            rows.append(("bar", name, *ratios, figure(s.median), place))
    return rows


def _draw(row, y, axis):
    if row[0] == "group":
        return [f'<text class="g" x="10" y="{y}">{escape(row[1])}</text>',
                f'<text class="s e" x="{WIDTH - 10}" y="{y}">{escape(row[2])}</text>']
    if row[0] == "case":
        return [f'<text x="10" y="{y}">{escape(row[1])}</text>']
    _, name, low, median, high, text, place = row
    colour, middle = COLOURS[place % len(COLOURS)], y - 4
    return [f'<text class="s e" x="{LEFT - 12}" y="{y}">{escape(name)}</text>',
            f'<line x1="{axis.x(low)}" y1="{middle}" x2="{axis.x(high)}" y2="{middle}" '
            f'stroke="{colour}" stroke-width="2"/>',
            f'<circle cx="{axis.x(median)}" cy="{middle}" r="4" fill="{colour}"/>',
            f'<text class="s e" x="{WIDTH - 10}" y="{y}">{text}</text>']
