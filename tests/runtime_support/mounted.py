"""A mounted Secret, which is replaced as the kubelet does it: all files at once, by a link."""

from collections.abc import Mapping
from itertools import count
from pathlib import Path


class MountedSecret:
    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self.folder = folder
        self._numbers = count()
        folder.mkdir()
        self.replace(files)

    def replace(self, files: Mapping[str, str]) -> None:
        version = self.folder / f"..{next(self._numbers)}"
        version.mkdir()
        for name, text in files.items():
            (version / name).write_text(text)
            link = self.folder / name
            if not link.is_symlink():
                link.symlink_to(Path("..data") / name)
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.rename(self.folder / "..data")
