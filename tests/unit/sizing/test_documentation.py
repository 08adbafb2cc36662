"""The numbers in docs/how-it-decides.md are computed by the code."""

import doctest
from pathlib import Path

DOCUMENT = Path(__file__).parents[3] / "docs" / "how-it-decides.md"


def test_the_worked_example_is_computed_by_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    example = doctest.DocTestParser().get_doctest(text, {}, DOCUMENT.name, str(DOCUMENT), 0)
    report: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert result.attempted > 10
    assert not result.failed, "".join(report)
