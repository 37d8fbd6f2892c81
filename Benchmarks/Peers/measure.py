"""What the peer scripts share: their arguments, timing, and results as JSON in the form of our own benchmarks."""

import argparse
import json
import os
import statistics
import time


class Report:
    """Collects one row per case; prints each as a JSON line and writes all of them with `--json FILE`.

    A row: case, shape, ms (median), ms_low and ms_high (quartiles), rate, unit, threads, peer.
    """

    def __init__(self, peer, description, repeats, assets=False, options=()):
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--json", metavar="FILE", help="write the rows there as well")
        parser.add_argument("--filter", metavar="TEXT", default="", help="only the cases whose name contains this")
        parser.add_argument("--threads", type=int, default=os.cpu_count())
        parser.add_argument("--repeats", type=int, default=repeats)
        if assets:
            parser.add_argument(
                "--assets",
                default=os.environ.get("TRESTLE_ASSETS", ".assets"),
                help="the folder that Scripts/fetch-assets fills",
            )
        for name, settings in options:
            parser.add_argument(name, **settings)
        self.arguments = parser.parse_args()
        self.peer, self.rows = peer, []

    def wants(self, *cases):
        """Whether the filter lets one of `cases` through."""
        return any(self.arguments.filter in case for case in cases)

    def times(self, work, warmups=1, loops=1):
        """Seconds of each repetition of `work`, each the mean of `loops` runs in a row."""
        for _ in range(warmups):
            work()
        result = []
        for _ in range(self.arguments.repeats):
            start = time.perf_counter()
            for _ in range(loops):
                work()
            result.append((time.perf_counter() - start) / loops)
        return result

    def add(self, case, shape, seconds, unit, amount=None, **more):
        """Adds a row. `amount` is the work of one run in the unit's numerator (GFLOP, GB, tokens …); without one, the rate is a duration."""
        median = statistics.median(seconds)
        low, _, high = statistics.quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else (median,) * 3
        rate = amount / median if amount is not None else median * {"s": 1, "ms": 1e3, "ns": 1e9}[unit]
        row = dict(
            case=case,
            shape=shape,
            ms=median * 1e3,
            ms_low=low * 1e3,
            ms_high=high * 1e3,
            rate=rate,
            unit=unit,
            threads=self.arguments.threads,
            peer=self.peer,
            **more
        )
        self.rows.append(row)
        print(json.dumps(row), flush=True)

    def run(self, case, shape, work, unit, amount=None, warmups=2, loops=1):
        """Times `work` and adds the row, unless the filter leaves the case out."""
        if self.wants(case):
            self.add(case, shape, self.times(work, warmups, loops), unit, amount)

    def finish(self):
        if self.arguments.json:
            with open(self.arguments.json, "w") as file:
                json.dump(dict(peer=self.peer, threads=self.arguments.threads, results=self.rows), file, indent=1)
