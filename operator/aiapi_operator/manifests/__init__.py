"""From an AIApi to the children it wants, as plain objects. Pure."""

from aiapi_operator.manifests.children import desired
from aiapi_operator.manifests.context import Context

__all__ = ["Context", "desired"]
