"""What goes wrong, as one sentence for the person who runs the benchmarks."""


class Failure(Exception):
    """Stops what is being done: a sample, or everything."""
