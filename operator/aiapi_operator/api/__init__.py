"""The AIApi resource: its models, and the CustomResourceDefinition generated from them."""

from aiapi_operator.api.aiapi import AIApi, Metadata
from aiapi_operator.api.spec import AIApiSpec, Mode
from aiapi_operator.api.status import AIApiStatus

__all__ = ["AIApi", "AIApiSpec", "AIApiStatus", "Metadata", "Mode"]
