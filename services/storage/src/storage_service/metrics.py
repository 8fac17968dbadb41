"""Prometheus metrics: requests by route and status, their duration, connections in use."""

import time

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from sqlalchemy import QueuePool
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Metrics:
    """The figures of one application."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self.requests = Counter("storage_requests", "Requests answered", labels, registry=self.registry)
        self.seconds = Histogram("storage_request_seconds", "Time to answer", ["route"], registry=self.registry)
        in_use = Gauge("storage_connections_in_use", "Database connections in use", registry=self.registry)
        pool = engine.pool
        if isinstance(pool, QueuePool):
            in_use.set_function(pool.checkedout)

    def install(self, app: FastAPI) -> None:
        """Count every request of `app` and serve /metrics."""
        app.add_middleware(_CountRequests, metrics=self)

        @app.get("/metrics", tags=["health"], response_class=Response, include_in_schema=False)
        async def metrics() -> Response:
            return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)


class _CountRequests:
    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begun = time.perf_counter()
        status = 500

        async def seen_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, seen_send)
        finally:
            # The route's pattern, not the path: a label must not have endless values.
            route = getattr(scope.get("route"), "path", "none")
            self.metrics.requests.labels(scope["method"], route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - begun)
