"""Prometheus metrics: requests by route and status, their duration, connections in use."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from storage_service.db.pool import Pool

METHODS = {"GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"}


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self._requests = Counter("storage_requests", "Requests answered", labels, registry=self._registry)
        self._seconds = Histogram("storage_request_seconds", "Time to answer", ["route"], registry=self._registry)
        self._in_use = Gauge(
            "storage_connections_in_use", "Database connections in use", ["database"], registry=self._registry
        )
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request. `route` is the pattern, not the path: a label must not have endless values."""
        if (children := self._known.get((method, route, status))) is None:
            # Nor may a method: a client can make one up.
            named = method if method in METHODS else "other"
            children = self._requests.labels(named, route, str(status)), self._seconds.labels(route)
            if named == method:
                self._known[method, route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def text(self, pools: Mapping[str, Pool]) -> bytes:
        """What /metrics answers."""
        for database, pool in pools.items():
            self._in_use.labels(database).set(pool.in_use)
        return generate_latest(self._registry)
