# SPDX-License-Identifier: Apache-2.0
"""The functions that execute host operators; they stand beside their operators in ``kmodel``."""

from ..kmodel.kernels import CHIP_KERNELS, FUSED_KERNELS, KERNELS, kernel
from ..kmodel.v3 import operators as v3
from ..kmodel.v4 import operators as v4
from ..kmodel.v5 import operators as v5

__all__ = ["CHIP_KERNELS", "FUSED_KERNELS", "KERNELS", "kernel", "v3", "v4", "v5"]
