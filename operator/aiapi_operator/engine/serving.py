"""The certificate that the pods of an AIApi serve their admin port with. Pure, but for its key.

It is kept until two thirds of its life are over, or until another CA signs. Pods read a new one
from their Secret without a restart.
"""

from dataclasses import dataclass

from aiapi_operator.engine import certificates
from aiapi_operator.engine.admin_tls import AdminTls
from aiapi_operator.engine.certificates import KeyPair
from aiapi_operator.manifests.secret import ServingTls


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingState:
    """A certificate that was checked, so that a tick does not parse it again."""

    pair: KeyPair
    issuer: str
    host: str
    renew_at: float


def serving(
    state: ServingState | None, found: KeyPair, tls: AdminTls, host: str, now: float
) -> ServingState:
    """The certificate to use: ``found`` in the Secret if it may stay, else a new one."""
    ca = tls.authority.signer
    if state is None or (state.pair, state.issuer, state.host) != (found, ca.certificate, host):
        is_valid = certificates.is_for(found, ca.certificate, host)
        state = _checked(found, ca, host) if is_valid else None
    if state is not None and now < state.renew_at:
        return state
    return _checked(certificates.issue(ca, host, now), ca, host)


def content(state: ServingState, tls: AdminTls) -> ServingTls:
    """What the Secret holds."""
    return ServingTls(
        certificate=state.pair.certificate, key=state.pair.key, trusted=tls.authority.trusted
    )


def _checked(pair: KeyPair, ca: KeyPair, host: str) -> ServingState:
    renew_at = certificates.validity(pair.certificate).renew_at
    return ServingState(pair=pair, issuer=ca.certificate, host=host, renew_at=renew_at)
