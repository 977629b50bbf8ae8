# SPDX-License-Identifier: Apache-2.0
"""Runs a command that must not outlive its caller: ``python guard.py COMMAND...``, by :func:`start`.

The command and all that it starts are one process group. It is killed when the guard's standard input closes: because
the caller asks for it, or because the caller is gone, however it died.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence


def start(command: Sequence[str], environment: Mapping[str, str], output) -> subprocess.Popen:
    """Start a command with its output, and its errors, in the file or pipe ``output``; :func:`end` it."""
    return subprocess.Popen([sys.executable, "-S", "-E", __file__, *command], env=environment, stdin=subprocess.PIPE,
                            stdout=output, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def end(process: subprocess.Popen, patience: float = 0) -> None:
    """Kill what is left of the command after ``patience`` seconds."""
    try:
        process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.stdin:
            process.stdin.close()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _watch() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def main(command: Sequence[str]) -> int:
    """Run the command; its exit code."""
    threading.Thread(target=_watch, daemon=True).start()
    code = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
