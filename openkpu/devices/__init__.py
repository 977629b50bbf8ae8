"""Back ends behind the one Device interface."""

from .base import Device, KpuConfig

__all__ = ["Device", "KpuConfig"]
