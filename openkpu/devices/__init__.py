# SPDX-License-Identifier: Apache-2.0
"""Back ends behind the one Device interface."""

from ..hw.device import Device, KpuConfig

__all__ = ["Device", "KpuConfig"]
