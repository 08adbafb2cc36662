"""What a worker counts, and how an app may add to it.

An app needs nothing from here. It may mark a request as refused on purpose (`shed`), mark a wait
for a dependency that is not called through a known HTTP client (`upstream`), read the id of its
request (`request_id`), and define its own metrics (`metrics`).
"""

from aiapi_runtime.telemetry.identity import request_id
from aiapi_runtime.telemetry.requests import shed, upstream

__all__ = ["request_id", "shed", "upstream"]
