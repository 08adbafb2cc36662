"""docs/failure-modes.md has one row for each fault scenario, and names tests that exist."""

import ast
import re

from docs_support import failure_modes
from docs_support.failure_modes import PAGE, ROOT, scenarios


def test_the_page_is_generated_from_the_scenarios() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == failure_modes.page(text), "run make failure-modes"


def test_each_scenario_says_what_it_does() -> None:
    assert scenarios()
    for each in scenarios():
        assert ast.get_docstring(ast.parse(each.file.read_text())), each.name
        assert {"fault", "user", "operator"} <= set(each.row), each.name
        assert all(isinstance(text, bool) or text for text in each.row.values()), each.name


def test_what_was_measured_has_a_scenario() -> None:
    assert set(failure_modes.measured()) <= {each.name for each in scenarios()}


def test_the_tests_named_on_the_page_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", PAGE.read_text(encoding="utf-8"))
    assert named
    assert [test for test in named if not (ROOT / test).is_file()] == []


def test_each_other_failure_names_its_tests() -> None:
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("## Other failures")
    others = re.findall(r"^- .*(?:\n  .*)*", rest.partition("\n## ")[0], re.MULTILINE)
    assert others
    assert [each for each in others if "`tests/" not in each] == []
