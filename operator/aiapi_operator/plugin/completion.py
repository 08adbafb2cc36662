"""Shell completion for ``aiapi`` (from click) and for ``kubectl aiapi``.

kubectl completes a plugin by running ``kubectl_complete-aiapi`` with the words typed so far. It
reads one candidate per line, and a directive for the shell on the last line.
"""

from contextlib import redirect_stderr
from io import StringIO

import click
from click.shell_completion import ShellComplete, get_completion_class

NO_FILES = ":4"
"""The directive that disables file name completion."""
VARIABLE = "_AIAPI_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of `aiapi` for a shell.

    For bash: eval "$(aiapi completion bash)". For `kubectl aiapi`, the completion of kubectl runs
    kubectl_complete-aiapi, which is installed with kubectl-aiapi.
    """
    root = click.get_current_context().find_root().command
    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"no completion for {shell}")
    click.echo(found(root, {}, "aiapi", VARIABLE).source())


def candidates(command: click.Command, words: list[str]) -> list[tuple[str, str]]:
    """The candidates for the last word, each with its help."""
    *before, incomplete = words or [""]
    completer = ShellComplete(command, {}, "kubectl aiapi", VARIABLE)
    return [
        (str(item.value), item.help or "") for item in completer.get_completions(before, incomplete)
    ]


def kubectl_candidates(command: click.Command, words: list[str]) -> list[str]:
    """The lines for kubectl. On any error there are no candidates."""
    try:
        with redirect_stderr(StringIO()):
            found = candidates(command, words)
    except Exception:  # noqa: BLE001 - a traceback must not appear in the prompt
        found = []
    lines = [f"{value}\t{text}" if text else value for value, text in found]
    return [*lines, NO_FILES]
