"""Builds the children of an AIApi as plain objects. Pure."""

from aiapi_operator.manifests.children import desired
from aiapi_operator.manifests.context import Context

__all__ = ["Context", "desired"]
