"""OpenAPI v3, a document for each group version."""

from __future__ import annotations

from aiohttp import web

from aiapi_operator.sandbox.resources import Registry

from .request import NoSuchPathError


class OpenApi:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def answer(self, request: web.Request) -> web.Response:
        raise NoSuchPathError
