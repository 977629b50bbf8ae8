# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM: answered in time, whatever the process is doing.

Either signal raises KeyboardInterrupt, and the command ends with code 130, cleaning up. Code that cannot be
interrupted, or that swallows the exception, gets ``PATIENCE`` seconds; then the process ends all the same. Builds and
simulators it has started end with it (``openkpu.devices.guard``).
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from time import sleep  # scripts may replace time.sleep

EXIT_CODE = 130
PATIENCE = 1.2
SIGNALS = (signal.SIGINT, signal.SIGTERM)

seen = threading.Event()
"""Set by the signal. A command that goes on all the same, as a script that handles KeyboardInterrupt may, still ends
with ``EXIT_CODE``."""

_last_words: list[Callable[[], None]] = []


def install() -> None:
    """Handle the signals from now on; for the main thread of a process."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    atexit.register(_ignore)
    sys.unraisablehook = _quiet
    # Written to by the signal itself, even when Python does not get to run its handler.
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reading,), daemon=True, name="interruption").start()


def _interrupt(number: int, frame: object) -> None:
    seen.set()
    raise KeyboardInterrupt


def _ignore() -> None:
    """The command is over. While CPython ends it gives the signals their default action, which loses the exit code."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _quiet(unraisable) -> None:
    """Nothing about an interruption that came where no exception can leave, as in a callback; :func:`_watch` acts."""
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)


def before_the_end(words: Callable[[], None]) -> None:
    """Call this if the process has to be ended the hard way."""
    _last_words.append(words)


def _watch(reading: int) -> None:
    while not set(os.read(reading, 64)) & set(SIGNALS):
        pass
    sleep(PATIENCE)
    try:
        from ..files import discard_unfinished

        discard_unfinished()
        for words in _last_words:
            words()
        sys.stdout.flush()
        print("openkpu: interrupted", file=sys.stderr, flush=True)
    finally:
        os._exit(EXIT_CODE)
