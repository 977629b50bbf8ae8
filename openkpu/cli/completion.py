# SPDX-License-Identifier: Apache-2.0
"""openkpu completion: lets a shell complete commands, options and their values."""

from __future__ import annotations

import os

import click
from click.shell_completion import get_completion_class, shell_complete

VARIABLE = "_OPENKPU_COMPLETE"  # click's name for it; set by the shell's function when it asks
SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Print a shell's completion script.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script with which SHELL completes openkpu's commands, options and files.

    \b
    bash:  openkpu completion bash >> ~/.bashrc
    zsh:   openkpu completion zsh >> ~/.zshrc
    fish:  openkpu completion fish > ~/.config/fish/completions/openkpu.fish
    """
    complete = get_completion_class(shell)
    assert complete is not None, shell
    click.echo(complete(context.find_root().command, {}, "openkpu", VARIABLE).source())


def answer(cli: click.Group) -> int | None:
    """Answer the question that the shell's function asks through the environment; None if it asks nothing."""
    instruction = os.environ.get(VARIABLE)
    return shell_complete(cli, {}, "openkpu", VARIABLE, instruction) if instruction else None
