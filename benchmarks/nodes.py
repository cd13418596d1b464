"""Two nodes on one PostgreSQL beside one: calls placed a second, with eight placements in flight a node.

    python -m benchmarks.nodes [--seconds 20]

The telephone company is 300 ms away. First the trunk allows more than two nodes can place; then less than one can.
"""

from __future__ import annotations

import argparse

from benchmarks.databases import fresh
from benchmarks.dialing import dial, most_in_a_second, prepare
from benchmarks.table import Figure, show

PLACEMENTS, FREE_RATE, TIGHT_RATE = 8, 200.0, 10.0
GOAL = 1.7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    show(measure(parser.parse_args().seconds))


def measure(seconds: float) -> list[Figure]:
    one, of_one = _rate(1, FREE_RATE, seconds)
    two, of_two = _rate(2, FREE_RATE, seconds)
    tight, of_both = _rate(2, TIGHT_RATE, seconds)
    return [
        Figure("calls placed a second by two nodes, beside one", two, one, two / one, f"≥ {GOAL}",
               f"{of_two}; one node: {of_one}"),
        Figure(f"by two nodes of {TIGHT_RATE:g} allowed", tight, TIGHT_RATE, tight / TIGHT_RATE, "≥ 0.96", of_both),
    ]  # fmt: skip


def _rate(nodes: int, rate: float, seconds: float) -> tuple[float, str]:
    with fresh("postgresql") as url:
        prepare(url, round(min(rate, 30.0 * nodes) * (seconds + 5)))
        dialed, arrivals = dial(url, rate=rate, seconds=seconds, nodes=nodes, placements=PLACEMENTS)
    times, numbers = [at for at, _ in arrivals], [to for _, to in arrivals]
    cpu = sum(one.cpu for one in dialed) / len(times) * 1e3
    shares = " + ".join(str(len(one.sent)) for one in dialed)
    return (len(times) - 1) / (times[-1] - times[0]), (
        f"{shares} calls, {len(numbers) - len(set(numbers))} of them twice, most in a second {most_in_a_second(times)},"
        f" {cpu:.1f} ms CPU a call"
    )


if __name__ == "__main__":
    main()
