"""The images' user: a number for the kubelet, and a passwd entry for programs that need one."""

import re

import pytest
from deploy_support.helm import ROOT


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.service"])
def test_the_user_is_a_number_with_a_passwd_entry(name: str) -> None:
    final = (ROOT / name).read_text().rpartition("\nFROM ")[2]
    (user,) = re.findall(r"^USER (\d+:\d+)$", final, re.MULTILINE)
    assert f"aiapi:x:{user}::/tmp:/usr/sbin/nologin' >> /etc/passwd" in final
    assert f"aiapi:x:{user.partition(':')[2]}:' >> /etc/group" in final
