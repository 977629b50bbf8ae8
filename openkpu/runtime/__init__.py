# SPDX-License-Identifier: Apache-2.0
"""Executes a loaded model on a device (spec/kmodel-format.md sections 3 to 6)."""

from .session import Hook, LayerResult, Session

__all__ = ["Hook", "LayerResult", "Session"]
