"""Writes the krew manifest of kubectl aiapi for the archives of a release.

python packaging/krew/manifest.py 0.1.0 FOLDER > aiapi.yaml

The manifest contains the checksums of the archives, so it is made in the release and not kept in
the repository. ``kubectl krew install --manifest-url`` installs from it; the plugin is not in
krew's index.
"""

import hashlib
import sys
from pathlib import Path
from typing import Any

import yaml

PLATFORMS = (("linux", "amd64"), ("linux", "arm64"), ("darwin", "arm64"))
"""Operating system and architecture, as krew names them."""
DOWNLOADS = "https://github.com/aiapi-dev/aiapi/releases/download"


def manifest(version: str, archives: Path) -> dict[str, Any]:
    """The manifest."""
    return {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "aiapi"},
        "spec": {
            "version": f"v{version}",
            "homepage": "https://aiapi-dev.github.io/aiapi/kubectl-plugin/",
            "shortDescription": "Explain and simulate the size of async AI APIs",
            "description": (
                "Shows what the aiapi operator does with an AIApi and why, checks the\n"
                "installation, switches the mode, and simulates autoscalers with your traffic.\n"
            ),
            "platforms": [_platform(version, archives, *each) for each in PLATFORMS],
        },
    }


def _platform(version: str, archives: Path, system: str, architecture: str) -> dict[str, Any]:
    archive = archives / f"aiapi-{system}-{architecture}.tar.gz"
    return {
        "selector": {"matchLabels": {"os": system, "arch": architecture}},
        "uri": f"{DOWNLOADS}/v{version}/{archive.name}",
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "bin": "kubectl-aiapi",
    }


def main(version: str, archives: Path) -> None:
    """Print the manifest. A missing archive is an error."""
    text = yaml.safe_dump(manifest(version, archives), sort_keys=False, width=100)
    sys.stdout.write(text)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
