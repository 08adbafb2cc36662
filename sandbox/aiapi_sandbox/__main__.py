"""`python -m aiapi_sandbox`: the same commands as `aiapi sandbox`."""

from aiapi_sandbox.cli import sandbox

if __name__ == "__main__":
    sandbox(prog_name="aiapi sandbox")
