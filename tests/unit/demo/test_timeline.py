"""The page is self-contained, escapes all text, and shows the recording."""

import re
from collections.abc import Callable
from dataclasses import replace

from aiapi_demo.recording import Recording
from aiapi_demo.summary import DemoReport
from aiapi_demo.timeline import render


def test_the_page_needs_no_network_and_no_script(report: Callable[..., DemoReport]) -> None:
    page = render(report())
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert "{{" not in page


def test_marks_show_decisions_with_their_reasons(
    report: Callable[..., DemoReport], recording: Recording
) -> None:
    recording.changes[0] = replace(recording.changes[0], message="120 rps x <25 ms>")
    page = render(report())
    assert "<title>0:23 ScaledUp: 2 x 1 to 2 x 4 (pods x workers). 120 rps x &lt;25 ms&gt;" in page
    assert "DependencyBound is True. The upstream takes 92 %" in page


def test_the_page_lists_unmet_expectations(report: Callable[..., DemoReport]) -> None:
    assert "All expectations were met." in render(report())
    assert "<li>it &lt;rained&gt;</li>" in render(report(("it <rained>",)))
