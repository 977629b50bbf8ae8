# SPDX-License-Identifier: Apache-2.0
"""Libraries that only evaluations need."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from ..errors import UsageError


def needed(module: str, what: str) -> ModuleType:
    """Import a module; UsageError with the command that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(f"{what} needs the package '{error.name or module}'; install it with: "
                         "pip install 'openkpu[eval]'") from error
