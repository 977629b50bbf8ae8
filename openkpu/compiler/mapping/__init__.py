# SPDX-License-Identifier: Apache-2.0
"""From the float network to layers of the KPU and operators of the host, with equal mathematics."""

from .network import HostOp, KpuLayer, Network, Part
from .walk import map_network

__all__ = ["HostOp", "KpuLayer", "Network", "Part", "map_network"]
