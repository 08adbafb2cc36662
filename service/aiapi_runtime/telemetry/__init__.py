"""What a worker counts, and how an app may add to it.

An app needs nothing from here. It may mark a request as refused on purpose (`shed`), say when it
waits for something outside that is not called through httpx (`upstream`), ask for the id of its
request (`request_id`), and count things of its own (`metrics`).
"""

from aiapi_runtime.telemetry.identity import request_id
from aiapi_runtime.telemetry.requests import shed, upstream

__all__ = ["request_id", "shed", "upstream"]
