"""Authentication and authorization. Every route declares its scopes with `require`."""

from aiapi_service.auth.dependency import require
from aiapi_service.auth.errors import AuthError
from aiapi_service.auth.principal import SCOPES, Principal

__all__ = ["SCOPES", "AuthError", "Principal", "require"]
