"""`python -m aiapi_runtime.runtime` runs aiapi-serve."""

from aiapi_runtime.runtime.cli import main

main()
