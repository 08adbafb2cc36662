"""Variables of further processes of the runtime."""

import json
import subprocess
import sys

import pytest

PRINT = """
import json, os
from aiapi_runtime.launcher import environment
os.environ.pop("PYTHONPATH", None)
os.environ["MADE"] = "later"
own = environment.for_own_process()
print(json.dumps([environment.initial("GIVEN"), own.get("PYTHONPATH"), own["MADE"]]))
"""


@pytest.mark.parametrize("given", ["", "a=b", "two\nlines"])
def test_the_python_path_is_that_of_the_start(given, monkeypatch):
    path = [one for one in sys.path if one]
    variables = {"PYTHONPATH": ":".join(path), "GIVEN": given}
    output = subprocess.check_output([sys.executable, "-c", PRINT], env=variables)
    assert json.loads(output) == [given, variables["PYTHONPATH"], "later"]
