"""All samples as JSON."""

import json
import os


class Record:
    """A file that is written anew after each case, so that a stop loses little."""

    def __init__(self, folder, about):
        self.path = os.path.join(folder, "samples.json")
        self._content = {"about": about, "cases": []}

    def add(self, group, case, samples, problems):
        """Adds a case that is done. Units are those of the keys: see benches/cases.py."""
        self._content["cases"].append({
            "group": group.title, "case": case.name,
            "metrics": {metric.key: metric.title for metric in group.metrics},
            "contestants": [contestant.name for contestant in case.contestants],
            "samples": samples, "problems": problems,
        })
        with open(self.path + ".new", "w") as file:
            json.dump(self._content, file, indent=1, ensure_ascii=False)
        os.replace(self.path + ".new", self.path)
