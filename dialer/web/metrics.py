"""Figures → the Prometheus text format; the one door to prometheus_client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from dialer.memory.gauges import Gauge
from dialer.providers.base import Reply

disable_created_metrics()  # type: ignore[no-untyped-call]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts what this node does; `tell` adds what it is given and what the system says of the process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._webhooks = Histogram(
            "dialer_webhook_seconds", "Webhooks that were answered, by kind (empty: refused) and the answer's code.",
            ("kind", "code"), buckets=SECONDS, registry=self._registry,
        )  # fmt: skip
        self._placed = Counter("dialer_calls_placed", "Calls this node has placed.", registry=self._registry)
        self._series = cache(lambda kind, code: self._webhooks.labels(kind, code))

    def webhook(self, kind: str, code: int, seconds: float) -> None:
        self._series(kind, code).observe(seconds)

    def placed(self, count: int) -> None:
        self._placed.inc(count)

    def tell(self, gauges: Iterable[Gauge]) -> Reply:
        said = CollectorRegistry(auto_describe=False)
        said.register(_Given([*gauges]))
        return Reply(generate_latest(self._registry) + generate_latest(said), CONTENT_TYPE_LATEST)


class _Given(Collector):
    def __init__(self, gauges: Sequence[Gauge]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for gauge in self._gauges:
            family = GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels)
            for values, figure in sorted(gauge.figures.items()):
                family.add_metric(values, float(figure))
            yield family


def idle_ticks(idle: Mapping[str, float]) -> Gauge:
    figures: dict[tuple[str, ...], float] = {(name,): seconds for name, seconds in idle.items()}
    return Gauge("dialer_tick_age_seconds", "Since this node's step last ended well.", ("tick",), figures)


def database_up(answers: bool) -> Gauge:
    return Gauge("dialer_database_up", "1 while the database answers in time; 0: its figures are missing.", (),
                 {(): answers})  # fmt: skip
