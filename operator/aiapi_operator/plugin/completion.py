"""Completion: click's for ``aiapi``, and what kubectl asks of a plugin.

kubectl completes a plugin's words by running ``kubectl_complete-aiapi`` with the words typed so
far, and reads one candidate a line and, last, a number that says what the shell may add.
"""

from contextlib import redirect_stderr
from io import StringIO

import click
from click.shell_completion import ShellComplete, get_completion_class

NO_FILES = ":4"
"""For kubectl: the candidates are all there is, no file names."""
VARIABLE = "_AIAPI_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion of `aiapi` for a shell.

    For bash: eval "$(aiapi completion bash)". For `kubectl aiapi`, kubectl's own completion asks
    the program kubectl_complete-aiapi, which is installed beside kubectl-aiapi.
    """
    root = click.get_current_context().find_root().command
    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"no completion for {shell}")
    click.echo(found(root, {}, "aiapi", VARIABLE).source())


def candidates(command: click.Command, words: list[str]) -> list[tuple[str, str]]:
    """What may stand in place of the last word, each with its help."""
    *before, incomplete = words or [""]
    completer = ShellComplete(command, {}, "kubectl aiapi", VARIABLE)
    return [
        (str(item.value), item.help or "") for item in completer.get_completions(before, incomplete)
    ]


def kubectl_candidates(command: click.Command, words: list[str]) -> list[str]:
    """The lines that kubectl reads. Whatever goes wrong, nothing but candidates is in them."""
    try:
        with redirect_stderr(StringIO()):
            found = candidates(command, words)
    except Exception:  # noqa: BLE001 - a traceback in the prompt helps nobody
        found = []
    lines = [f"{value}\t{told}" if told else value for value, told in found]
    return [*lines, NO_FILES]
