"""Every figure in one table.

python -m benchmarks.run [--quick | --long]

`--long` also lets the database grow to a million people. What takes longer has a command of its own: benchmarks.chaos
(kills), benchmarks.endurance (a long day).
"""

from __future__ import annotations

import argparse

from benchmarks import checking, dialing, foresight, growth, nodes, planning, reading, webhooks, writing
from benchmarks.table import show


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="some seconds each: noisy")
    parser.add_argument("--long", action="store_true", help="also with a million people")
    options = parser.parse_args()
    quick = options.quick
    figures = [
        *webhooks.measure(2.0 if quick else 5.0, 1 if quick else 3),
        *checking.measure(50, 1 if quick else 3),
        *planning.measure(20_000 if quick else 100_000),
        *foresight.measure(2_000 if quick else 10_000, 2_000 if quick else 10_000),
        *dialing.measure([10, 50] if quick else [1, 10, 50, 100], 5.0 if quick else 20.0),
        *writing.measure(200 if quick else 1_000, 10.0 if quick else 40.0),
        *nodes.measure(5.0 if quick else 20.0),
        *reading.measure(20_000 if quick else 100_000, peers=not quick),
    ]
    show(figures)
    sizes = [1_000, 10_000] if quick else [1_000, 10_000, 100_000]
    growth.measure([*sizes, 1_000_000] if options.long else sizes)


if __name__ == "__main__":
    main()
