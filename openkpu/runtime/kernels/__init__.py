"""The functions that execute the host operators of v3 and v4; those of v5 stand beside their operators."""

from ...kmodel.kernels import CHIP_KERNELS, FUSED_KERNELS, KERNELS, kernel
from ...kmodel.v5 import operators
from . import v3, v4

__all__ = ["CHIP_KERNELS", "FUSED_KERNELS", "KERNELS", "kernel", "operators", "v3", "v4"]
