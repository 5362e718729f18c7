"""Asks a Prometheus every query of a dashboard, and whether its alerts can be evaluated.

    answered.py URL DASHBOARD ALERTS

Prints each panel whose query has no data, and fails if it should have some.
"""

import json
import sys
import urllib.parse
import urllib.request

# Without an issuer of tokens there are no keys.
MAY_BE_EMPTY = ["pgtenant_jwks_age_seconds", "pgtenant_directory_age_seconds"]

VALUES = {
    "$__rate_interval": "10s",
    "$__interval": "10s",
    "$instance": ".*",
    "$database": ".*",
    "$tenant": ".*",
}


def ask(url, path, **parameters):
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{url}{path}?{query}") as answer:
        return json.load(answer)["data"]


def expressions(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in VALUES.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression


def main(url, dashboard_file, alerts_file):
    with open(dashboard_file) as file:
        dashboard = json.load(file)
    asked, missing = 0, []
    for title, expression in expressions(dashboard):
        asked += 1
        if not ask(url, "/api/v1/query", query=expression)["result"]:
            if not any(name in expression for name in MAY_BE_EMPTY):
                missing.append(f"{title}: {expression}")
    print(f"{asked} queries of panels, {len(missing)} without data")
    groups = ask(url, "/api/v1/rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    bad = [f"{rule['name']}: {rule['lastError']}" for rule in rules if rule["health"] != "ok"]
    print(f"{len(rules)} alerts, {len(bad)} that cannot be evaluated")
    up = ask(url, "/api/v1/query", query='up{job="pgtenant"}')["result"]
    if [series["value"][1] for series in up] != ["1"]:
        missing.append("up: the proxy is not scraped")
    for line in missing + bad:
        print(f"  {line}")
    with open(alerts_file) as file:
        named = file.read().count("- alert:")
    if named != len(rules) or missing or bad:
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
