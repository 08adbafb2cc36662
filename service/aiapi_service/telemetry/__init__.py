"""What a worker counts, and how an app may add to it.

An app needs nothing from here. It may mark a request as refused on purpose (`shed`), or say when
it waits for something outside that is not called through httpx (`upstream`).
"""

from aiapi_service.telemetry.requests import shed, upstream

__all__ = ["shed", "upstream"]
