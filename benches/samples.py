"""What several samples of one thing say together."""

import statistics

# With fewer samples their ranges say nothing about a difference.
ENOUGH = 3


def percentile(ordered, percent):
    """Of values in ascending order."""
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)]


class Summary:
    """Median and range of one metric of one contestant."""

    def __init__(self, values):
        self.values = list(values)
        self.median = statistics.median(self.values)
        self.low = min(self.values)
        self.high = max(self.values)

    def ratio(self, base):
        """To another summary; None where that is nothing."""
        return self.median / base.median if base.median else None

    def comparable(self, base):
        """Whether there are enough samples on both sides."""
        return min(len(self.values), len(base.values)) >= ENOUGH

    def differs(self, base):
        """Whether the ranges do not overlap."""
        return self.low > base.high or self.high < base.low
