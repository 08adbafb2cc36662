"""The console in a browser: empty, one and 500 AIApis, phone, dark mode, and hostile names."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from console_support.browser import CHROMIUM, Tab, browsing
from console_support.fixtures import ConsoleWorld, manifest

pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="no chromium on PATH"),
    pytest.mark.asyncio(loop_scope="module"),
]

HOSTILE = '"><script>document.title="broken"</script><img src=x onerror=alert(1)>{{7*7}}'
NAME = HOSTILE.replace("/", "")
"""A path segment cannot contain a slash."""
LONG = "a" + "-very" * 9 + "-long"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tab]:
    async with browsing(tmp_path_factory.mktemp("chromium")) as found:
        yield found


async def fits(tab: Tab) -> bool:
    """Whether nothing overflows to the right."""
    return bool(
        await tab.run(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
    )


async def color(tab: Tab, selector: str, name: str) -> tuple[int, ...]:
    """A computed color."""
    text = await tab.run(f"getComputedStyle(document.querySelector('{selector}')).{name}")
    inside = text[text.index("(") + 1 : -1]
    return tuple(int(float(part)) for part in inside.split(",")[:3])


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """The contrast ratio of WCAG 2."""

    def light(rgb: tuple[int, ...]) -> float:
        parts = [part / 255 for part in rgb]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def five_hundred() -> ConsoleWorld:
    world = ConsoleWorld()
    failing: dict[str, Any] = {
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "AppFailed", "message": "It fails."}
        ]
    }
    world.aiapis = [
        manifest(f"assistant-{number:03}", **(failing if number == 432 else {}))
        for number in range(500)
    ]
    return world


def one(**status: Any) -> ConsoleWorld:
    world = ConsoleWorld()
    world.aiapis = [manifest("assistant", **status)]
    world.live("assistant")
    return world


async def test_an_empty_console_shows_what_to_do(tab: Tab) -> None:
    await tab.see(1280, 800)
    async with ConsoleWorld().served() as url:
        await tab.open(url)
        assert "No AIApis yet" in await tab.run("document.body.innerText")
        assert await tab.run("document.querySelector('#live').textContent") == "Live"
        assert (await tab.picture()).startswith(b"\x89PNG")
        assert tab.complaints == []


async def test_five_hundred_aiapis_with_the_failing_one_first(tab: Tab) -> None:
    await tab.see(1280, 800)
    async with five_hundred().served() as url:
        await tab.open(url)
        assert await tab.run("document.querySelectorAll('tbody tr').length") == 100
        assert await tab.run("document.querySelector('tbody a').textContent") == "assistant-432"
        assert "Page 1 of 5" in await tab.run("document.querySelector('.pages').textContent")
        assert await fits(tab)
        await tab.open(f"{url}/?q=assistant-49&sort=name")
        assert await tab.run("document.querySelectorAll('tbody tr').length") == 10
    assert tab.complaints == []


@pytest.mark.parametrize("dark", [False, True])
async def test_pages_are_readable_on_a_phone(tab: Tab, dark: bool) -> None:
    await tab.see(360, 740, dark=dark, phone=True)
    world = one()
    world.aiapis.append(manifest(LONG, namespace=LONG))
    async with world.served() as url:
        for path in ("/", "/aiapis/shop/assistant"):
            await tab.open(url + path)
            assert await fits(tab), path
            assert await tab.run("parseFloat(getComputedStyle(document.body).fontSize)") >= 16
            page = await color(tab, "html", "backgroundColor")
            text = await color(tab, "body", "color")
            assert contrast(page, text) > 7
            card = await color(tab, ".tile", "backgroundColor")
            assert contrast(card, await color(tab, ".tile dt", "color")) > 4.5
    assert (sum(page) < 100) is dark
    assert tab.complaints == []


async def test_charts_are_drawn_and_described(tab: Tab) -> None:
    await tab.see(1280, 800)
    async with one().served() as url:
        await tab.open(f"{url}/aiapis/shop/assistant")
        assert await tab.run("document.querySelectorAll('figure').length") == 7
        drawn = "[...document.querySelectorAll('figure .line')].every(p => p.getTotalLength() > 0)"
        assert await tab.run(drawn)
        label = await tab.run("document.querySelector('.plot svg').getAttribute('aria-label')")
        assert "arrivals" in label
        assert "at most" in label
        rows = "document.querySelectorAll('#table1 tbody tr').length"
        assert 8 <= await tab.run(rows) <= 13
        # The plot is stretched to the width of its container.
        assert await tab.run(
            "document.querySelector('.plot svg').getBoundingClientRect().width > 300"
        )
    assert tab.complaints == []


async def test_pages_can_be_used_with_the_keyboard_alone(tab: Tab) -> None:
    await tab.see(1280, 800)
    async with one().served() as url:
        await tab.open(url)
        await tab.run(
            "document.querySelectorAll('a,button,input,select,summary').forEach("
            "e => e.tabIndex >= 0 || document.body.append('unreachable'))"
        )
        assert "unreachable" not in await tab.run("document.body.innerText")
        for key in ("keyDown", "keyUp"):
            await tab.call("Input.dispatchKeyEvent", type=key, key="Tab", windowsVirtualKeyCode=9)
        assert await tab.run("document.activeElement.textContent") == "Skip to the content"
        assert await tab.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
        names = "[...document.querySelectorAll('input,select')].every(e => e.labels.length === 1)"
        assert await tab.run(names)


async def test_pages_refresh_keep_open_details_and_can_be_paused(tab: Tab) -> None:
    await tab.see(1280, 800)
    world = one()
    async with world.served() as url:
        await tab.open(f"{url}/aiapis/shop/assistant")
        await tab.run("document.querySelector('#table1').open = true")
        world.aiapis[0]["status"]["conditions"][0] |= {"status": "False", "message": "Gone dark."}
        await tab.wait("document.body.innerText.includes('Gone dark.')")
        world.now += 2
        world.live("assistant", minutes=0)
        await tab.wait("document.querySelector('#table1').open")
        await tab.run("document.querySelector('#pause').click()")
        assert await tab.run("document.querySelector('#live').textContent") == "Paused"
    assert tab.complaints == []


async def test_an_operator_that_stopped_is_reported(tab: Tab) -> None:
    async with one().served() as url:
        await tab.open(url)
    await tab.wait("document.querySelector('#live').textContent.includes('does not answer')")


async def test_names_and_messages_cannot_inject(tab: Tab) -> None:
    await tab.see(1280, 800)
    world = ConsoleWorld()
    hostile = manifest(NAME, namespace=NAME)
    hostile["status"]["decision"] |= {"reason": HOSTILE, "message": HOSTILE}
    hostile["status"]["load"]["latency"] = HOSTILE
    hostile["status"]["conditions"] = [
        {"type": HOSTILE, "status": "True", "reason": HOSTILE, "message": HOSTILE}
    ]
    world.aiapis = [hostile]
    world.leads, world.leader = False, HOSTILE
    async with world.served() as url:
        await tab.open(url)
        inside = "document.querySelectorAll('main script, main img, [onerror]').length"
        assert await tab.run(inside) == 0
        assert await tab.run("document.querySelector('tbody a').textContent") == NAME
        await tab.run("document.querySelector('tbody a').click()")
        await tab.wait("document.querySelector('.crumbs') !== null")
        assert await tab.run("document.querySelector('h1').textContent") == NAME
        assert await tab.run(inside) == 0
        # The title has the name as text.
        assert await tab.run("document.title") == f"{NAME} · {NAME} · aiapi"
        await tab.open(f"{url}/?q=%3Cscript%3Ealert(1)%3C/script%3E")
        assert await tab.run(inside) == 0
    assert tab.complaints == []
