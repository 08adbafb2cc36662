"""What injection costs: time to ready and memory of a worker, with the runtime in the image and
injected into it.

    python benchmarks/inject.py [--rounds 7]

Both serve the same FastAPI app on the same interpreter and packages, in turn. The app imports a
Uvicorn of its own, as most do, so with injection two copies are in memory. An image volume is the
folder as it is; an init container copies it first. Pulling the image and starting the init
container are not part of it: they depend on the cluster. Memory is PSS: shared pages count once.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from pathlib import Path

WORKERS = 4
GOALS = {"image volume": 0.2, "init container": 1.0}
MEMORY_GOAL_MB = 15.0
APP = """
import fastapi, uvicorn

app = fastapi.FastAPI()

@app.get("/")
async def root():
    return uvicorn.__version__
"""


def prepare(folder: Path) -> list[str]:
    """The image: an app and an environment. Returns the command that injects the runtime."""
    (folder / "shop.py").write_text(APP)
    build = [sys.executable, "-m", "aiapi_runtime.bundle", str(folder / "aiapi")]
    subprocess.run(build, check=True)
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return [str(venv / "bin" / "python3"), str(folder / "aiapi" / "launch.py")]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def measure(command: list[str], folder: Path, python_path: str) -> tuple[float, float, str]:
    """Seconds until the pod is ready, megabytes of a worker, and the source of the runtime."""
    admin = free_port()
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": python_path,
        "AIAPI_ADMIN_TOKEN": "token",
        "AIAPI_HOST": "127.0.0.1",
        "AIAPI_PORT": str(free_port()),
        "AIAPI_ADMIN_PORT": str(admin),
        "AIAPI_WORKERS": str(WORKERS),
    }
    started = time.monotonic()
    pod = subprocess.Popen(
        [*command, "shop:app"], cwd=folder, env=variables, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_ready(admin)
        seconds = time.monotonic() - started
        workers = [one["pid"] for one in ask(admin, "/status")["workers"]]
        memory = statistics.mean(pss_mb(pid) for pid in workers)
        return seconds, memory, ask(admin, "/stats")["runtime"]["source"]
    finally:
        for _ in range(2):
            pod.send_signal(signal.SIGINT)
        pod.wait()


def wait_until_ready(port: int) -> None:
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
        except OSError:
            time.sleep(0.005)
        else:
            return


def ask(port: int, path: str) -> dict:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    request.add_header("Authorization", "Bearer token")
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.load(response)


def pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (kilobytes,) = (int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1000


def copy_seconds(folder: Path) -> float:
    """What the init container does."""
    target = folder / "copy"
    target.mkdir()
    started = time.monotonic()
    subprocess.run(["cp", "-R", f"{folder / 'aiapi'}/.", target], check=True)
    seconds = time.monotonic() - started
    shutil.rmtree(target)
    return seconds


def run(rounds: int, folder: Path) -> bool:
    injected = prepare(folder)
    in_image = [sys.executable, "-m", "aiapi_runtime.runtime"]
    times: dict[str, list[float]] = {"Image": [], "Injected": [], "copy": []}
    memory: dict[str, list[float]] = {"Image": [], "Injected": []}
    # One more round, not counted, for the caches.
    for number in range(rounds + 1):
        for command, path in ((in_image, os.environ.get("PYTHONPATH", "")), (injected, "")):
            seconds, megabytes, source = measure(command, folder, path)
            if number:
                times[source].append(seconds)
                memory[source].append(megabytes)
        times["copy"].append(copy_seconds(folder))
    return report(
        {name: statistics.median(values) for name, values in times.items()},
        {name: statistics.median(values) for name, values in memory.items()},
    )


def report(times: dict[str, float], memory: dict[str, float]) -> bool:
    """Print a row for each goal; true when all hold."""
    growth = times["Injected"] - times["Image"]
    more = {"image volume": growth, "init container": growth + times["copy"]}
    print(f"time to ready with the runtime in the image: {times['Image']:.2f} s")
    holds = True
    for name, seconds in more.items():
        kept = seconds <= GOALS[name]
        holds = holds and kept
        verdict = "holds" if kept else "DOES NOT HOLD"
        print(f"  {name}: {seconds:+.2f} s, goal <= {GOALS[name]:g} s: {verdict}")
    extra = memory["Injected"] - memory["Image"]
    kept = extra <= MEMORY_GOAL_MB
    print(f"memory of one of {WORKERS} workers (PSS) in the image: {memory['Image']:.1f} MB")
    verdict = "holds" if kept else "DOES NOT HOLD"
    print(f"  injected: {extra:+.1f} MB, goal <= {MEMORY_GOAL_MB:g} MB: {verdict}")
    return holds and kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if run(options.rounds, Path(folder)) else 1)


if __name__ == "__main__":
    main()
