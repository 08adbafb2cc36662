"""`python -m aiapi_sandbox up`: the command without the rest of `aiapi`."""

from aiapi_sandbox.cli import sandbox

if __name__ == "__main__":
    sandbox(prog_name="aiapi sandbox")
