"""The ``openkpu`` command."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import NoReturn

import click

from .. import __version__
from ..errors import OpenKPUError
from .completion import answer
from .lazy import LazyGroup

EXIT_CODES = """\b
Exit codes:
  0  done
  2  bad usage (options, layer number, back end)
  3  bad model file
  4  bad input
  5  device failure, or a result that cannot be written
130  interrupted
141  whoever read the output went away (openkpu info MODEL | head)
"""
PIPE_CLOSED = 128 + signal.SIGPIPE  # what a shell reports of a program that a closed pipe ends


SUMMARIES = {
    "info": "Tell what MODEL is.",
    "compile": "Compile NETWORK (ONNX or TFLite) for the KPU.",
    "run": "Run MODEL on INPUT and write out_<k>.npy for every output.",
    "dump": "Run MODEL on INPUT up to a layer and write that layer's feature map.",
    "compare": "Run MODEL on INPUT on the RTL and on the golden model.",
    "profile": "Run MODEL on the RTL and tell what every KPU layer costs, and why.",
    "script": "Run a MaixPy or CanMV script on a simulated K210.",
    "flash": "Images of the K210's 16 MiB SPI flash.",
    "completion": "Print a shell's completion script.",
}


@click.group(cls=LazyGroup, summaries=SUMMARIES, epilog=EXIT_CODES,
             context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="openkpu")
def cli() -> None:
    """Run K210 models (.kmodel v3, v4, v5 and .kfpkg) bit for bit as the chip does.

    Every command takes --debug, which prints the Python trace of an error.
    """


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    click.echo(f"openkpu: {message}", err=True)
    return code


def run_cli(arguments: list[str]) -> int:
    """Execute a command line; the exit code."""
    debug = "--debug" in arguments
    try:
        # Not cli.main(): that turns a closed pipe into a silent exit code 1.
        with cli.make_context("openkpu", list(arguments)) as context:
            cli.invoke(context)
        sys.stdout.flush()
        return 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except OpenKPUError as error:
        return _fail(str(error), error.exit_code, debug)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", 130, debug)
    except BrokenPipeError:
        # Whatever is still buffered would raise again when the interpreter closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _fail(f"cannot write the output: {error.strerror or error}; free some space and try again", 5, debug)


def main() -> NoReturn:
    """Entry point of the ``openkpu`` script."""
    # Cleans up like Ctrl-C does: no build goes on and no temporary file stays.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    completed = answer(cli)
    sys.exit(run_cli(sys.argv[1:]) if completed is None else completed)


if __name__ == "__main__":
    main()
