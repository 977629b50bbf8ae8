"""From the float network to layers of the KPU and operators of the host, with equal mathematics."""

from .build import map_network
from .network import HostOp, KpuLayer, Network, Part

__all__ = ["HostOp", "KpuLayer", "Network", "Part", "map_network"]
