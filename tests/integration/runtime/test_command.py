"""The errors of the command when it cannot start."""

import asyncio
import os
import socket
import sys


async def test_an_address_in_use_is_named_with_the_option_to_change():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option, others in (("--port", ["--admin-port=0"]), ("--admin-port", ["--port=0"])):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "aiapi_runtime.runtime", "app:app", "--host=127.0.0.1"),
                *(f"{option}={port}", *others),
                env={**os.environ, "AIAPI_LOCAL": "off", "AIAPI_DATABASE_LOCAL": "off"},
                stderr=asyncio.subprocess.PIPE,
            )
            _, said = await asyncio.wait_for(process.communicate(), 30)
            assert process.returncode == 1
            assert said.decode() == (
                f"Error: cannot listen on 127.0.0.1:{port}: Address already in use;"
                f" choose another with {option}\n"
            )


async def test_an_invalid_value_is_refused_with_flag_and_variable():
    for name, value, flag in (
        ("AIAPI_WORKERS", "x", "--workers"),
        ("AIAPI_WORKERS", "1000", "--workers"),
        ("AIAPI_LIMIT", "some", "--limit"),
        ("AIAPI_LIMIT_MAX_REQUESTS", "-1", "--limit-max-requests"),
        ("AIAPI_ROOT_PATH", "api", "--root-path"),
        ("AIAPI_ROOT_PATH", "/api/", "--root-path"),
        ("AIAPI_LOG_CONFIG", "/no/such/file.json", "--log-config"),
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "aiapi_runtime.runtime", "app:app"),
            env={**os.environ, name: value},
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 2
        assert f"'{flag}' (env var: '{name}')" in said.decode()
