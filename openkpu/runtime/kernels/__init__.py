"""The functions that execute the host operators of each format, and the table that finds them."""

from . import v3, v4, v5
from .table import CHIP_KERNELS, FUSED_KERNELS, KERNELS, kernel

__all__ = ["CHIP_KERNELS", "FUSED_KERNELS", "KERNELS", "kernel", "v3", "v4", "v5"]
