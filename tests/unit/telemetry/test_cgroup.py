"""Both versions of cgroups, as seen on a node and inside a container."""

from pathlib import Path

import pytest

from aiapi_runtime.telemetry.cgroup import CgroupLimits, read


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def membership(tmp_path: Path) -> Path:
    return tmp_path / "membership"


def test_version_2(tmp_path: Path, membership: Path) -> None:
    membership.write_text("0::/\n")
    mount = tree(
        tmp_path / "fs",
        {
            "cgroup.controllers": "cpu memory",
            "cpu.stat": "usage_usec 9\nnr_throttled 4\nthrottled_usec 2500000\n",
            "cpu.max": "150000 100000\n",
            "memory.max": "536870912\n",
        },
    )
    assert read(mount, membership) == CgroupLimits(2.5, 1.5, 2**29)


def test_version_2_without_limits(tmp_path: Path, membership: Path) -> None:
    membership.write_text("0::/\n")
    mount = tree(
        tmp_path / "fs",
        {
            "cgroup.controllers": "cpu memory",
            "cpu.stat": "usage_usec 9\n",
            "cpu.max": "max 100000\n",
            "memory.max": "max\n",
        },
    )
    assert read(mount, membership) == CgroupLimits()


def test_version_1_with_a_path_below_the_mount(tmp_path: Path, membership: Path) -> None:
    membership.write_text("5:memory:/pod/a\n2:cpu,cpuacct:/pod/a\n0::/\n")
    mount = tree(
        tmp_path / "fs",
        {
            "cpu/pod/a/cpu.stat": "nr_periods 9\nthrottled_time 3000000000\n",
            "cpu/pod/a/cpu.cfs_quota_us": "50000",
            "cpu/pod/a/cpu.cfs_period_us": "100000",
            "memory/pod/a/memory.limit_in_bytes": "1073741824",
        },
    )
    assert read(mount, membership) == CgroupLimits(3.0, 0.5, 2**30)


def test_version_1_without_limits(tmp_path: Path, membership: Path) -> None:
    membership.write_text("5:memory:/pod/a\n2:cpu,cpuacct:/pod/a\n")
    mount = tree(
        tmp_path / "fs",
        {
            "cpu/cpu.stat": "throttled_time 0\n",
            "cpu/cpu.cfs_quota_us": "-1",
            "memory/memory.limit_in_bytes": "9223372036854771712",
        },
    )
    assert read(mount, membership) == CgroupLimits()


@pytest.mark.parametrize("text", ["", "garbage", "0::", "a:b"])
def test_unreadable_files_give_no_limits(tmp_path: Path, membership: Path, text: str) -> None:
    membership.write_text(text)
    assert read(tmp_path / "nowhere", membership) == CgroupLimits()
    assert read(tmp_path / "nowhere", tmp_path / "missing") == CgroupLimits()
