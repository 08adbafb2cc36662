"""The sizing table has units, and the CPU of a tick."""

from scale_bench.sizing_table import Measured, lines


def test_the_table_has_a_row_for_each_cluster() -> None:
    busy = Measured(cluster="1,000 x 10, all under load", cores=1.0, ticks=400.0, memory=300e6)
    assert list(lines([busy]))[2:] == [
        "| 1,000 x 10, all under load | 1.00 core | 400/s | 2.5 ms | 300 MB |"
    ]
