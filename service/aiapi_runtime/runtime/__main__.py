"""`python -m aiapi_runtime.runtime` is aiapi-serve."""

from aiapi_runtime.runtime.cli import main

main()
