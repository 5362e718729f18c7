"""Load by one tenant's flood, while another tenant is looked at."""

from dataclasses import dataclass

import programs
from pgbench import Pgbench


@dataclass(frozen=True)
class Flood:
    """What `victim` gets while `flood` runs; without a flood, what it gets alone."""

    victim: Pgbench
    flood: Pgbench = None
    mode: str = "simple"

    fresh = False  # a proxy serves all samples of a case

    def sample(self, bench, running, seconds):
        """Runs both before a proxy; what was measured of the victim."""
        flood = self.flood.start_flood(bench, running) if self.flood else None
        try:
            sample = self.victim.sample(bench, running, seconds)
        finally:
            if flood:
                programs.stop(flood)
        # The proxy's CPU time was the flood's, not the victim's.
        del sample["cpu_us"]
        return sample
