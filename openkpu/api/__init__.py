# SPDX-License-Identifier: Apache-2.0
"""The K210's Python APIs on a PC: ``KPU`` (MaixPy), ``maix.KPU`` (CanMV) and the modules their scripts use.

``install()`` makes the modules importable under the names a device script uses (``import KPU``, ``from maix import
KPU``, ``import sensor, image, lcd``); ``openkpu script FILE.py`` does that, maps ``/sd`` and ``/flash`` and runs the
file. Settings (camera feed, flash image, compatibility, back end) live in one object,
``openkpu.api.board.board.Board``.
"""

from __future__ import annotations


def install() -> None:
    """Put the device modules into ``sys.modules``."""
    from openkpu.api import modules

    modules.install()
