"""Prints the version of a release tag, after checking that the repository states that version.

python .ci/release_version.py v0.1.0

Images, chart, packages and the documents that name them are published under one version. A tag
that differs from one of them would publish something that cannot be installed, so the release
stops here, before anything is published. Standard library only: it runs before any installation.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TAG = re.compile(r"v(\d+\.\d+\.\d+)")

IMAGE = r"ghcr\.io/aiapi-dev/[a-z/-]+:(?!artifacthub)([\w.+-]*\w)"
"""A reference to an image or chart of the project."""
RELEASE = r"(?:refs/tags/|\?ref=|releases/download/)v([\w.]*\w)"
"""A Git reference or a file of a release."""


@dataclass(frozen=True, slots=True)
class Source:
    """Files that state the version. Each file has to state it, unless it is ``optional``."""

    files: str
    pattern: str
    optional: bool = False


SOURCES = (
    Source("pyproject.toml", r'^version = "(.+)"$'),
    Source("pyproject.toml", r'"aiapi-runtime(?:\[\w+\])?==(.+)"'),
    Source("service/pyproject.toml", r'^version = "(.+)"$'),
    Source("charts/*/Chart.yaml", r"^(?:version|appVersion): (.+)$"),
    Source("charts/*/Chart.yaml", IMAGE),
    Source("deploy/operator.yaml", IMAGE),
    Source("deploy/operator.yaml", r"app.kubernetes.io/version: (.+)$"),
    Source("Dockerfile*", IMAGE, optional=True),
    Source("examples/**/*.yaml", IMAGE, optional=True),
    Source("examples/gitops/*/operator.yaml", r"(?:targetRevision|version|tag): (\d.+)$"),
    Source("examples/terraform/*.tf", r'^ +version += "(\d+\.\d+\.\d+)"$'),
    Source("packaging/olm/manifests/*.clusterserviceversion.yaml", r"^  version: (.+)$"),
    Source("packaging/olm/manifests/*.clusterserviceversion.yaml", IMAGE),
    Source("README.md", IMAGE, optional=True),
    Source("docs/*.md", IMAGE, optional=True),
    Source("**/*.md", RELEASE, optional=True),
    Source("docs/*.md", r"--version (\d[\w.]*\w)", optional=True),
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A version, and the file that states it."""

    file: str
    version: str


def statements(root: Path) -> Iterator[Statement]:
    """All versions that the repository states."""
    for source in SOURCES:
        for path in _files(root, source.files):
            found = re.findall(source.pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
            name = str(path.relative_to(root))
            if not found and not source.optional:
                yield Statement(name, "no version")
            yield from (Statement(name, each.strip("\"'")) for each in found)


def _files(root: Path, pattern: str) -> list[Path]:
    """Files of the repository. Folders that builds and tools create are not part of it."""
    found = sorted(root.glob(pattern))
    return [path for path in found if path.relative_to(root).parts[0] not in (".venv", "build")]


def problems(root: Path, version: str) -> list[str]:
    """What states another version than the tag."""
    wrong = {each for each in statements(root) if each.version != version}
    return [
        f"{each.file} states {each.version}, the tag {version}"
        for each in sorted(wrong, key=lambda each: (each.file, each.version))
    ]


def released(tag: str) -> str:
    """The version of a tag. Pre-releases have none: PyPI and Helm write them differently."""
    if found := TAG.fullmatch(tag):
        return found[1]
    sys.exit(f"{tag} is not a release tag: use vMAJOR.MINOR.PATCH, such as v1.2.3")


def main(tag: str, root: Path = ROOT) -> None:
    """Print the version, or what differs from it."""
    version = released(tag)
    if found := problems(root, version):
        sys.exit("\n".join([*found, "change these files, or tag a commit that states the version"]))
    print(version)


if __name__ == "__main__":
    main(sys.argv[1])
