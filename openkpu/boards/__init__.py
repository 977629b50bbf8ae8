# SPDX-License-Identifier: Apache-2.0
"""The KPU in LiteX: the module :class:`Kpu`, a SoC around it, and targets for boards and for simulation."""

from .kpu import Kpu
from .soc import KpuSoC

__all__ = ["Kpu", "KpuSoC"]
