"""Prometheus metrics: requests by route and status, their duration, connections in use."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from storage_service.db.pool import Pool

METHODS = {"GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"}
BOUNDS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)


@dataclass(slots=True)
class _Durations:
    """Of the requests to one route."""

    total_seconds: float = 0
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_SECONDS) + 1))
    """By the first bound that they do not exceed; the last: none."""


class Metrics:
    """The figures of one process. Plain numbers, for one thread: prometheus_client's own take locks, 3 us a request."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, int], int] = {}
        self._durations: dict[str, _Durations] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request. `route` is the pattern, not the path: a label must not have endless values."""
        # Nor may a method: a client can make one up.
        labels = (method if method in METHODS else "other", route, status)
        self._requests[labels] = self._requests.get(labels, 0) + 1
        if (durations := self._durations.get(route)) is None:
            durations = self._durations[route] = _Durations()
        durations.total_seconds += seconds
        durations.counts[bisect_left(BOUNDS_SECONDS, seconds)] += 1

    def text(self, pools: Mapping[str, Pool]) -> bytes:
        """What /metrics answers."""
        registry = CollectorRegistry()
        registry.register(_Collected([*self._collect(pools)]))
        return generate_latest(registry)

    def _collect(self, pools: Mapping[str, Pool]) -> Iterator[Metric]:
        requests = CounterMetricFamily("storage_requests", "Requests answered", labels=["method", "route", "status"])
        for (method, route, status), number in self._requests.items():
            requests.add_metric([method, route, str(status)], number)
        yield requests
        seconds = HistogramMetricFamily("storage_request_seconds", "Time to answer", labels=["route"])
        for route, durations in self._durations.items():
            buckets, so_far = [], 0
            for bound, number in zip((*map(str, BOUNDS_SECONDS), "+Inf"), durations.counts, strict=True):
                so_far += number
                buckets.append((bound, so_far))
            seconds.add_metric([route], buckets, durations.total_seconds)
        yield seconds
        in_use = GaugeMetricFamily("storage_connections_in_use", "Database connections in use", labels=["database"])
        for database, pool in pools.items():
            in_use.add_metric([database], pool.in_use)
        yield in_use


@dataclass(frozen=True, eq=False)
class _Collected:
    """As prometheus_client wants them."""

    metrics: list[Metric]

    def collect(self) -> list[Metric]:
        return self.metrics
