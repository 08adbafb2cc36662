"""Errors of the commands: a message that says what to do, and an exit code."""

from difflib import get_close_matches

import click

from aiapi_operator.cluster import errors
from aiapi_operator.cluster.connection import NotConfiguredError

PROBLEM = 1
USAGE = 2
UNREACHABLE = 3
FORBIDDEN = 4
NOT_FOUND = 5

CRD_MISSING = (
    "the CustomResourceDefinition of AIApi is not installed in this cluster. Install the"
    " operator's chart, or run 'kubectl apply --server-side -f crds/'."
)


class CommandError(click.ClickException):
    """Exits the command with a message and an exit code."""

    def __init__(self, message: str, code: int = PROBLEM) -> None:
        super().__init__(message)
        self.code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override] # click only reads it
        """The exit code of the program."""
        return self.code


def not_configured_error(error: NotConfiguredError, contexts: list[str]) -> CommandError:
    """No usable kubeconfig."""
    known = f" Available contexts: {', '.join(contexts)}." if contexts else ""
    missing = str(error).endswith("current-context in kube-config")  # the client's message
    reason = "no kubeconfig found" if missing else str(error)
    return CommandError(
        f"no cluster configured: {reason.rstrip('.')}. Set --kubeconfig or KUBECONFIG.{known}",
        UNREACHABLE,
    )


def cluster_error(error: errors.ClusterError) -> CommandError:
    """An error of the API server, or of the connection to it."""
    if isinstance(error, errors.Forbidden | errors.Unauthorized):
        return CommandError(
            f"forbidden: {error.message}. Ask the cluster administrator for this permission.",
            FORBIDDEN,
        )
    if isinstance(error, errors.Untrusted):
        return CommandError(
            f"{error.message}. Check the certificate authority and the server in the kubeconfig.",
            UNREACHABLE,
        )
    if isinstance(error, errors.Unavailable | errors.TooManyRequests):
        return CommandError(
            f"{error.message}. Check that the cluster is up and the kubeconfig is right.",
            UNREACHABLE,
        )
    if isinstance(error, errors.NotFound):
        return CommandError(CRD_MISSING, NOT_FOUND)
    return CommandError(f"rejected by the API server: {error.message}")


def aiapi_not_found(name: str, namespace: str, everywhere: list[tuple[str, str]]) -> CommandError:
    """No AIApi of this name. ``everywhere`` has the (namespace, name) of all known ones."""
    elsewhere = [ns for ns, other in everywhere if other == name]
    here = [other for ns, other in everywhere if ns == namespace]
    message = f"AIApi {name!r} not found in namespace {namespace}"
    if elsewhere:
        message += f", but in {', '.join(elsewhere)}. Use -n {elsewhere[0]}."
    elif near := get_close_matches(name, here, n=3):
        message += f". Did you mean {' or '.join(near)}?"
    elif here:
        shown = ", ".join(sorted(here)[:10])
        message += f". It has: {shown}" + (", and more." if len(here) > 10 else ".")
    return CommandError(message, NOT_FOUND)
