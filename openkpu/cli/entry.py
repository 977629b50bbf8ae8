# SPDX-License-Identifier: Apache-2.0
"""Entry point of the ``openkpu`` script. Nothing heavy is imported before streams and signals are looked after."""

from __future__ import annotations

import sys

from . import interruption
from .terminal import give_up_full_stderr, open_streams


def main() -> None:
    """Execute the process's command line."""
    open_streams()
    interruption.install()
    try:
        from .main import main as execute

        code = execute(sys.argv[1:])
    except KeyboardInterrupt:
        print("openkpu: interrupted", file=sys.stderr)
        code = interruption.EXIT_CODE
    if interruption.seen.is_set():
        code = interruption.EXIT_CODE
        # CPython ends by the signal itself if exec() of a string was interrupted, unless another one has succeeded.
        exec("pass")
    give_up_full_stderr()
    sys.exit(code)


if __name__ == "__main__":
    main()
