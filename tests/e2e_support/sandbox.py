"""The sandbox, started by its command."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e_support.kubectl import Kubectl, eventually

EXAMPLES = Path(__file__).parents[2] / "examples"
AIAPI = Path(sys.executable).with_name("aiapi")


@contextmanager
def running_sandbox(
    folder: Path,
    *,
    images: Iterable[str],
    audit_log: Path | None = None,
    options: Iterable[str] = (),
) -> Iterator[Path]:
    """Run a sandbox with images, as NAME=DIR, for the block. Yields its kubeconfig's path."""
    kubeconfig = folder / "kubeconfig"
    log = folder / "sandbox.log"
    command: list[str | Path] = [AIAPI, "sandbox", "up", "--kubeconfig", kubeconfig]
    command += ["--data", folder / "data"]
    for image in images:
        command += ["--image", image]
    command += options
    if audit_log is not None:
        command += ["--audit-log", audit_log]
    with log.open("w") as out:
        process = subprocess.Popen([str(c) for c in command], stdout=out, stderr=out)
    kubectl = Kubectl(kubeconfig=kubeconfig, namespace="default")

    def up() -> bool:
        assert process.poll() is None, f"the sandbox ended: {log.read_text()}"
        return kubeconfig.exists() and kubectl.run("get", "namespaces").returncode == 0

    try:
        eventually(up, within=20, what="the sandbox answers kubectl")
        yield kubeconfig
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def given_or_sandbox(
    config: pytest.Config, folder: Path, *, options: Iterable[str] = ()
) -> Iterator[Path]:
    """The kubeconfig of ``--kubeconfig``, or of a sandbox that nothing else uses."""
    given = config.getoption("--kubeconfig")
    if given:
        yield Path(given)
        return
    images = [f"{config.getoption('--image')}={EXAMPLES}"]
    with running_sandbox(folder, images=images, options=options) as path:
        yield path
