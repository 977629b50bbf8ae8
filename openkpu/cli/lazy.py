# SPDX-License-Identifier: Apache-2.0
"""A command group whose commands are imported when they are used: ``openkpu --help`` imports none of them."""

from __future__ import annotations

from importlib import import_module

import click


class LazyGroup(click.Group):
    """Commands by name, each from the module of its name in this package.

    Parameters
    ----------
    summaries : what the group's help says of each command, in the order in which it lists them. A test compares them
        with the commands' own.
    """

    def __init__(self, *args, summaries: dict[str, str], **keywords):
        super().__init__(*args, **keywords)
        self.summaries = summaries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names."""
        return list(self.summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command, and give it and its own commands the option that all have."""
        if cmd_name not in self.summaries:
            return None
        if cmd_name not in self.commands:
            module = import_module(f".{cmd_name}", __package__)
            command = getattr(module, cmd_name)
            for part in (command, *getattr(command, "commands", {}).values()):
                part.params.append(click.Option(["--debug"], is_flag=True, expose_value=False,
                                                help="Print the Python trace of an error."))
            self.commands[cmd_name] = command
        return self.commands[cmd_name]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries.items()))
