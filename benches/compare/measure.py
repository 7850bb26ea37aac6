"""How long calls take."""

import time

# Results of a search.
LIMIT = 10


class Meter:
    """Times calls, one after another, and the processor time of all of them."""

    def __init__(self, cpu):
        self.cpu = cpu
        self.before = cpu()
        self.times = []

    def time(self, call):
        started = time.perf_counter()
        answer = call()
        self.times.append(time.perf_counter() - started)
        return answer

    def result(self):
        """Milliseconds."""
        times = sorted(self.times)
        at = [times[round((len(times) - 1) * share)] * 1e3 for share in (0.5, 0.95)]
        cpu = (self.cpu() - self.before) * 1e3 / len(times)
        return {"p50_ms": at[0], "p95_ms": at[1], "cpu_ms": cpu}
