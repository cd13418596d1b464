"""Several who do something at once, each in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial


def together(*works: Callable[[], object]) -> None:
    """Until all are done. Raises what one of them raised."""
    with ThreadPoolExecutor(len(works)) as pool:
        for one in [pool.submit(work) for work in works]:
            one.result()


def four_nodes(work: Callable[[str], object]) -> None:
    """Each by its name."""
    together(*(partial(work, f"node-{n}") for n in range(4)))
