# SPDX-License-Identifier: Apache-2.0
"""The configurations of the RTL that are kept working: parameters of ``kpu_core`` and what they make of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ..errors import UsageError
from .device import KpuConfig
from .fields import ROW_BYTES

ENTRY_BYTES = 9  # one entry of the weight buffer: nine 8-bit weights


@dataclass(frozen=True)
class CoreParameters:
    """Verilog parameters of ``kpu_core``.

    Attributes
    ----------
    SEGS : segments of the array (pixel columns at most).
    SEGLEN : processing elements per segment.
    LPS : post-processing lanes per segment.
    DEPTH : partial sums per processing element and bank.
    AIRAM_ROWS : 64-byte rows of AI RAM.
    WEIGHT_ENTRIES : nine-byte entries of the weight buffer.
    CACHE_LINES : 0 for an AI RAM on the chip; else the lines of its cache, and the rows are in an external memory.
    """

    SEGS: int
    SEGLEN: int
    LPS: int
    DEPTH: int
    AIRAM_ROWS: int
    WEIGHT_ENTRIES: int
    CACHE_LINES: int = 0

    def verilog(self) -> dict[str, int]:
        """Parameter names and values; the cache only where there is one (``kpu_soc`` has none)."""
        return {name: value for name, value in asdict(self).items() if name != "CACHE_LINES" or value}

    @property
    def piece(self) -> int:
        """Bytes that the write-back collects, as ``kpu_core`` derives them (PIECE)."""
        return min(64, 2 * self.SEGS * self.LPS)

    def config(self, name: str) -> KpuConfig:
        """What a KPU built like this can hold."""
        return KpuConfig(name=name, pes=self.SEGS * self.SEGLEN, lanes=self.SEGS * self.LPS,
                         airam_bytes=self.AIRAM_ROWS * ROW_BYTES, weight_bytes=self.WEIGHT_ENTRIES * ENTRY_BYTES,
                         tile_pixels=self.DEPTH * self.SEGS)


CORES: dict[str, CoreParameters] = {
    "full": CoreParameters(SEGS=8, SEGLEN=8, LPS=8, DEPTH=128, AIRAM_ROWS=32768, WEIGHT_ENTRIES=8192),
    "fpga": CoreParameters(SEGS=4, SEGLEN=4, LPS=2, DEPTH=128, AIRAM_ROWS=4096, WEIGHT_ENTRIES=2048),
    "board": CoreParameters(SEGS=4, SEGLEN=4, LPS=2, DEPTH=128, AIRAM_ROWS=32768, WEIGHT_ENTRIES=8192,
                            CACHE_LINES=2048),
    "compact": CoreParameters(SEGS=2, SEGLEN=4, LPS=2, DEPTH=128, AIRAM_ROWS=32768, WEIGHT_ENTRIES=8192,
                              CACHE_LINES=2048),
    "tiny": CoreParameters(SEGS=2, SEGLEN=2, LPS=1, DEPTH=64, AIRAM_ROWS=4096, WEIGHT_ENTRIES=512),
}

ON_CHIP = [name for name, core in CORES.items() if not core.CACHE_LINES]
"""The configurations whose AI RAM is on the chip: modules that do not know where it is are tested with these."""


def config_named(name: str) -> KpuConfig:
    """The configuration called ``name``; UsageError if there is none."""
    if name not in CORES:
        raise UsageError(f"there is no KPU configuration '{name}'; choose one of {', '.join(CORES)}")
    return CORES[name].config(name)
