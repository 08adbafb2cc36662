"""`python -m aiapi_service.runtime` is aiapi-serve."""

from aiapi_service.runtime.cli import main

main()
