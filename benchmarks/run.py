"""Every figure in one table.

python -m benchmarks.run [--quick]
"""

from __future__ import annotations

import argparse

from benchmarks import dialing, nodes, planning, webhooks
from benchmarks.table import show


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="some seconds each: noisy")
    quick = parser.parse_args().quick
    figures = [
        *webhooks.measure(2.0 if quick else 5.0, 1 if quick else 3),
        *planning.measure(20_000 if quick else 100_000),
        *dialing.measure([10, 50] if quick else [1, 10, 50, 100], 5.0 if quick else 20.0),
        *nodes.measure(5.0 if quick else 20.0),
    ]
    show(figures)


if __name__ == "__main__":
    main()
