# SPDX-License-Identifier: Apache-2.0
"""The ``openkpu`` command."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from contextlib import suppress

import click

from .. import __version__
from ..errors import OpenKPUError
from .completion import answer
from .interruption import EXIT_CODE
from .lazy import LazyGroup
from .terminal import printable

LONGEST_MESSAGE = 2000
EXIT_CODES = """\b
Exit codes:
  0  done
  1  a fault in OpenKPU itself
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
    "view": "Look at MODEL's feature maps in a browser on this computer.",
    "eval": "Judge MODEL on DATASET's labelled pictures.",
    "script": "Run a MaixPy or CanMV script on a simulated K210.",
    "flash": "Images of the K210's 16 MiB SPI flash.",
    "board": "A KPU on an FPGA board: build, load, test, bench.",
    "completion": "Print a shell's completion script.",
}


@click.group(cls=LazyGroup, summaries=SUMMARIES, epilog=EXIT_CODES,
             context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="openkpu")
def cli() -> None:
    """Run K210 models (.kmodel v3, v4, v5 and .kfpkg) bit for bit as the chip does.

    Every command takes --debug, which prints the Python trace of an error.
    """


def _fail(message: str, code: int, debug: bool = False) -> int:
    with suppress(OSError):  # standard error may be closed or full, too
        if debug:
            traceback.print_exc()
        click.echo(f"openkpu: {_shown(message)}", err=True)
    return code


def _shown(message: str) -> str:
    text = printable(message)
    if len(text) > LONGEST_MESSAGE:
        text = f"{text[:LONGEST_MESSAGE // 2]} ... {text[-LONGEST_MESSAGE // 2:]}"
    return text


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
        return _usage(error)
    except OpenKPUError as error:
        return _fail(str(error), error.exit_code, debug)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", EXIT_CODE, debug)
    except BrokenPipeError:
        _silence_output()
        return PIPE_CLOSED
    except OSError as error:
        _silence_output()
        what = f"{error.filename}: " if error.filename else "cannot write the output: "
        return _fail(f"{what}{error.strerror or error}; free some space or choose another place, and try again", 5,
                     debug)
    except MemoryError:
        return _fail("the computer has not enough memory for this; close other programs, or take a smaller input", 5,
                     debug)
    except Exception as error:
        return _fail(f"a fault in OpenKPU itself ({type(error).__name__}: {error}); please report it with what --debug "
                     "prints", 1, debug)


def _usage(error: click.ClickException) -> int:
    error.message = _shown(error.message)  # type: ignore[misc]  # final for subclasses only; show() prints it
    with suppress(OSError):
        error.show()
    return 2


def _silence_output() -> None:
    """Whatever is still buffered would raise again when the interpreter closes the stream."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def main(arguments: list[str]) -> int:
    """Answer a shell that completes a command line, or execute one; the exit code."""
    completed = answer(cli)
    return run_cli(arguments) if completed is None else completed
