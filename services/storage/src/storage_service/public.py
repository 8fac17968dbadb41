"""What needs no token: health, metrics, and the description of the API."""

import functools
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from service_common import api_page

from storage_service.db.pool import Pool
from storage_service.health import HealthCheck
from storage_service.metrics import Metrics

Page = tuple[int, bytes, bytes]
"""Status, media type, body."""
_JSON = b"application/json"


class PublicPages:
    """The pages by path."""

    def __init__(
        self, check: HealthCheck, metrics: Metrics, pools: Mapping[str, Pool], openapi: Callable[[], bytes]
    ) -> None:
        self._check = check
        self._metrics = metrics
        self._pools = pools
        self._openapi = openapi
        self._people = functools.cache(lambda: api_page.page(msgspec.json.decode(openapi())))
        self._pages: dict[str, Callable[[], Awaitable[Page]]] = {
            "/health": self._health,
            "/health/live": self._live,
            "/health/ready": self._ready,
            "/metrics": self._metrics_text,
            "/openapi.json": self._document,
            "/docs": self._docs,
        }

    def page(self, path: str) -> Callable[[], Awaitable[Page]] | None:
        """What answers this path; None when it is not public."""
        return self._pages.get(path)

    async def _live(self) -> Page:
        return 200, _JSON, b'{"status":"alive"}'

    async def _ready(self) -> Page:
        health = await self._check.run()
        return 200 if health.ok else 503, _JSON, health.model_dump_json().encode()

    async def _health(self) -> Page:
        return 200, _JSON, (await self._check.run()).model_dump_json().encode()

    async def _metrics_text(self) -> Page:
        return 200, CONTENT_TYPE_LATEST.encode(), self._metrics.text(self._pools)

    async def _document(self) -> Page:
        return 200, _JSON, self._openapi()

    async def _docs(self) -> Page:
        return 200, b"text/html; charset=utf-8", self._people()
