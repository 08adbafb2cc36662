"""What can go wrong with a command, as a sentence with the way out and an exit code."""

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
    "this cluster has no AIApis: the CustomResourceDefinition is not installed. Install the"
    " operator's chart, or run 'kubectl apply --server-side -f crds/'."
)


class CommandError(click.ClickException):
    """Ends the command with a message and an exit code."""

    def __init__(self, message: str, code: int = PROBLEM) -> None:
        super().__init__(message)
        self.code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override] # click reads it, and never writes it
        """What the program ends with."""
        return self.code


def not_configured_error(error: NotConfiguredError, contexts: list[str]) -> CommandError:
    """There is no cluster to ask."""
    known = f" The contexts there are: {', '.join(contexts)}." if contexts else ""
    none = str(error).endswith("current-context in kube-config")  # the client's way to say so
    said = "no kubeconfig was found" if none else str(error)
    return CommandError(
        f"no cluster to ask: {said.rstrip('.')}. Give --kubeconfig, or set KUBECONFIG.{known}",
        UNREACHABLE,
    )


def cluster_error(error: errors.ClusterError) -> CommandError:
    """What the API server (or the way to it) said."""
    if isinstance(error, errors.Forbidden | errors.Unauthorized):
        return CommandError(
            f"not allowed: {error.message}. Ask who runs the cluster for this right.", FORBIDDEN
        )
    if isinstance(error, errors.Unavailable | errors.TooManyRequests):
        return CommandError(
            f"{error.message}. Is the cluster up, and the kubeconfig's address right?", UNREACHABLE
        )
    if isinstance(error, errors.NotFound):
        return CommandError(CRD_MISSING, NOT_FOUND)
    return CommandError(f"the API server refused: {error.message}")


def aiapi_not_found(name: str, namespace: str, everywhere: list[tuple[str, str]]) -> CommandError:
    """There is no AIApi of this name here; ``everywhere`` has (namespace, name) of those seen."""
    elsewhere = [ns for ns, other in everywhere if other == name]
    here = [other for ns, other in everywhere if ns == namespace]
    message = f"there is no AIApi {name!r} in namespace {namespace}"
    if elsewhere:
        message += f", but there is one in {', '.join(elsewhere)}: add -n {elsewhere[0]}"
    elif near := get_close_matches(name, here, n=3):
        message += f"; did you mean {' or '.join(near)}?"
    elif here:
        shown = ", ".join(sorted(here)[:10])
        message += f"; there are: {shown}" + (" and more" if len(here) > 10 else "")
    return CommandError(message, NOT_FOUND)
