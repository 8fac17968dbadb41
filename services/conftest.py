"""The project's fixtures of real servers, for the tests beside each service."""

from tests.conftest import cluster, image_source, make_source, source, source_server, target, target_server, versions

__all__ = ["cluster", "image_source", "make_source", "source", "source_server", "target", "target_server", "versions"]
