# SPDX-License-Identifier: Apache-2.0
"""Access by name to a register block described in ``openkpu.hw.fields``, through a cocotbext-axi master."""

from __future__ import annotations

import random
from collections.abc import Iterator

from openkpu.hw.fields import Register


def pauses(rng: random.Random, share: float) -> Iterator[bool]:
    """Endless pause pattern for a cocotbext-axi channel: stalls in bursts, ``share`` of the time."""
    while True:
        stall = rng.random() < share
        for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
            yield stall


class Registers:
    """One register block at ``base``; values are plain integers or keyword fields."""

    def __init__(self, master, base: int, table: tuple[Register, ...]):
        self.master = master
        self.base = base
        self.table = {r.name: r for r in table}

    async def write(self, name: str, value: int = 0, **fields: int) -> None:
        register = self.table[name]
        known = {f.name: f for f in register.fields}
        for key, content in fields.items():
            value |= (content & known[key].mask) << known[key].lsb
        response = await self.master.write(self.base + register.offset, value.to_bytes(8, "little"))
        assert response is None or response.resp == 0, f"{name}: write answered {response.resp}"

    async def read(self, name: str) -> int:
        response = await self.master.read(self.base + self.table[name].offset, 8)
        assert response.resp == 0, f"{name}: read answered {response.resp}"
        return int.from_bytes(response.data, "little")

    async def fields(self, name: str) -> dict[str, int]:
        value = await self.read(name)
        return {f.name: value >> f.lsb & f.mask for f in self.table[name].fields}
