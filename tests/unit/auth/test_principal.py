"""Scopes can only become fewer."""

from hypothesis import given
from hypothesis import strategies as st

from aiapi_service.auth.principal import ALL_SCOPES, narrow_scopes

scopes = st.frozensets(st.sampled_from([*sorted(ALL_SCOPES), "admin", "*", ""]))


@given(scopes, scopes, scopes)
def test_nobody_gains_a_scope(
    asked: frozenset[str], key: frozenset[str], user: frozenset[str]
) -> None:
    got = narrow_scopes(asked, key, user)
    assert got <= asked
    assert got <= key
    assert got <= user
    assert got <= ALL_SCOPES
