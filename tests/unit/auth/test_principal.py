"""Narrowing never adds scopes."""

from hypothesis import given
from hypothesis import strategies as st

from aiapi_service.auth.principal import ALL_SCOPES, narrow_scopes

scopes = st.frozensets(st.sampled_from([*sorted(ALL_SCOPES), "admin", "*", ""]))


@given(scopes, scopes, scopes)
def test_narrowing_never_adds_a_scope(
    requested: frozenset[str], key: frozenset[str], user: frozenset[str]
) -> None:
    narrowed = narrow_scopes(requested, key, user)
    assert narrowed <= requested
    assert narrowed <= key
    assert narrowed <= user
    assert narrowed <= ALL_SCOPES
