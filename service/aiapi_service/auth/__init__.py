"""Who calls and what they may do: declared once, by `require`, on every route."""

from aiapi_service.auth.dependency import require
from aiapi_service.auth.errors import AuthError
from aiapi_service.auth.principal import SCOPES, Principal

__all__ = ["SCOPES", "AuthError", "Principal", "require"]
