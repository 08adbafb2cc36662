"""docs/how-it-decides.md: its figures are computed by the code, and it covers every entry."""

import doctest
import re
from pathlib import Path

from aiapi_operator.sizing.decide import MEMORIES
from aiapi_operator.sizing.reference import ENTRIES

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "how-it-decides.md"
LINK = re.compile(r"^\[(\w+)\]: https://github.com/aiapi-dev/aiapi/blob/main/(\S+)$", re.MULTILINE)


def test_the_worked_example_is_computed_by_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    example = doctest.DocTestParser().get_doctest(text, {}, DOCUMENT.name, str(DOCUMENT), 0)
    report: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert result.attempted > 10
    assert not result.failed, "".join(report)


def test_every_entry_has_a_paragraph_that_links_to_its_file() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    links = {name: path for name, path in LINK.findall(text) if f"][{name}]" in text}
    linked = [path.removeprefix("operator/") for path in links.values()]
    entries = [f"{name.replace('.', '/')}.py" for names in ENTRIES.values() for name in names]
    assert [each for each in entries if each not in linked] == []
    assert [path for path in links.values() if not (ROOT / path).exists()] == []


def test_every_learner_of_a_guard_or_diagnosis_is_in_its_file() -> None:
    """So that the paragraph of an entry covers what it learns."""
    entries = {name for names in ENTRIES.values() for name in names}
    assert {each.learn.__module__ for each in MEMORIES} <= entries
