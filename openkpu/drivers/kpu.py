# SPDX-License-Identifier: Apache-2.0
"""Register-level driver: runs layer descriptors on a Device as the chip's software does (spec/kpu-hardware.md 1.3).

Knows nothing of model formats: it gets descriptors with their tables and moves maps in and out of the AI RAM.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from ..errors import CapacityError, DeviceError
from ..hw.descriptor import Descriptor
from ..hw.device import Device
from ..hw.fields import (
    AIRAM_BASE,
    EXT_LOG,
    EXT_LOG_BASE,
    EXT_LOG_ENTRIES,
    EXT_LOG_STRIDE,
    KPU_ID_MAGIC,
    REGS_BASE,
    ROW_BYTES,
    SRAM_BASE,
    register,
)
from ..hw.layout import MapLayout

TABLE_ALIGN = 256  # the v1 runtime's rule for activation tables; also keeps bursts inside 4 KiB pages
ALL_INTERRUPTS = 7
ONLY_CALC_DONE = 6
CLEAR, STEPPING, STEP = register("ext_control").flags("clear", "stepping", "step")
THRESHOLDS = 0x1A  # full 10, empty 1: what every vendor runtime writes


def _address(name: str) -> int:
    return REGS_BASE + register(name).offset


@dataclass(frozen=True)
class Figures:
    """Clock cycles of one layer, from the device's layer log: all, those with the array at work, those it waited for
    parameters, for features, and for post-processing or write-back."""

    cycles: int
    busy: int
    wait_param: int
    wait_feature: int
    wait_writeback: int


class KpuDriver:
    """One device and what the driver has put into its SRAM.

    Attributes
    ----------
    device : the back end.
    extended : True if the device has the extension page with counters and error status.
    sram_used : bytes of SRAM allocated so far.
    """

    def __init__(self, device: Device):
        self.device = device
        self.sram_used = 0
        self.extended = device.read64(_address("ext_id")) & 0xFFFF_FFFF == KPU_ID_MAGIC

    def place(self, data: np.ndarray) -> int:
        """Copy a parameter block into SRAM; its bus address. CapacityError when the SRAM is full."""
        address = self.reserve(len(data))
        self.device.write_memory(address, data.tobytes())
        return address

    def reserve(self, size: int) -> int:
        """Bus address of ``size`` bytes of SRAM, aligned for any table. CapacityError when the SRAM is full."""
        address = SRAM_BASE + self.sram_used
        self.sram_used += -(-size // TABLE_ALIGN) * TABLE_ALIGN
        if self.sram_used > self.device.config.sram_bytes:
            config = self.device.config
            raise CapacityError(f"the model's parameters need more than the {config.sram_bytes} bytes of SRAM "
                                f"that the KPU configuration '{config.name}' has; use a larger one")
        return address

    def start(self, eight_bit: bool) -> None:
        """Bring the registers into the state every runtime starts from."""
        write = self.device.write64
        write(_address("interrupt_clear"), ALL_INTERRUPTS)
        write(_address("interrupt_mask"), ALL_INTERRUPTS)
        write(_address("fifo_threshold"), THRESHOLDS)
        write(_address("eight_bit_mode"), int(eight_bit))

    def begin_chain(self) -> None:
        """Get ready for layers that are pushed ahead of the one whose result is taken."""
        if self.extended:
            self.device.write64(_address("ext_control"), CLEAR | STEPPING)
        self.device.write64(_address("interrupt_clear"), ALL_INTERRUPTS)
        self._pushed = self._finished = self._seen = 0

    def push(self, descriptor: Descriptor, stream: bool = False) -> None:
        """Queue one layer. With the extension page others may follow before this one is finished.

        They then fetch their parameters in time, but start only when :meth:`finish` gets to them, so that the
        result of the layer before can be read first.

        Parameters
        ----------
        descriptor : with bus addresses of its tables; int_en and send_data_out are set here.
        stream : send the result to ``fifo_data_out``.
        """
        if self._pushed == self._finished:
            if self.extended:
                self.device.write64(_address("ext_control"), STEPPING)
            self.device.write64(_address("interrupt_mask"), ONLY_CALC_DONE)
        for word in replace(descriptor, int_en=1, send_data_out=int(stream)).pack():
            self.device.write64(_address("layer_argument_fifo"), word)
        self._pushed += 1

    def finish(self, descriptor: Descriptor, stream_bytes: int = 0) -> tuple[bytes, Figures | None]:
        """Wait for the oldest layer pushed and not finished.

        Parameters
        ----------
        descriptor : of that layer.
        stream_bytes : bytes to take from ``fifo_data_out``.

        Returns
        -------
        The streamed bytes and what the layer cost (None if the device does not count).

        Raises
        ------
        DeviceError
            The layer does not finish in a generous time, or the device reports an error status.
        """
        if self.extended:
            self.device.write64(_address("ext_control"), STEPPING | STEP)
        streamed = self.device.read_stream(stream_bytes) if stream_bytes else b""
        limit = cycle_limit(descriptor, self.device.config)
        self._wait(self._finished + 1, limit)
        self.check_status()
        number = self._finished
        self._finished += 1
        if self._finished == self._pushed:
            self.device.write64(_address("interrupt_mask"), ALL_INTERRUPTS)
            if self.extended:
                self.device.write64(_address("ext_control"), 0)
        return streamed, self._figures(number)

    @property
    def room(self) -> bool:
        """Whether one more layer may be pushed: two behind the next to finish, if the device can hold them back.

        Of those one fetches its parameters, for the other the plan is made.
        """
        return self._pushed - self._finished < (3 if self.extended else 1)

    def abandon(self) -> None:
        """After an error or an interruption: give up what is queued, at once; nothing of it gets into the next run."""
        with suppress(DeviceError):
            self.device.abandon()

    def _wait(self, count: int, limit: int) -> None:
        """Until ``count`` layers of the chain are finished. One interrupt may stand for two of them."""
        while self._seen < count:
            self.device.wait_interrupt(limit)
            self.device.write64(_address("interrupt_clear"), ALL_INTERRUPTS)
            self._seen = self.device.read64(_address("ext_layers")) if self.extended else count

    def _figures(self, number: int) -> Figures | None:
        if not self.extended:
            return None
        entry = REGS_BASE + EXT_LOG_BASE + number % EXT_LOG_ENTRIES * EXT_LOG_STRIDE
        values: dict[str, int] = {}
        for r in EXT_LOG:
            word = self.device.read64(entry + r.offset)
            values |= {f.name: word >> f.lsb & f.mask for f in r.fields}
        del values["layer"]
        return Figures(**values) if values["cycles"] else None  # a device without a clock counts 0

    def check_status(self) -> None:
        """DeviceError with the reasons if the device has refused a layer."""
        if not self.extended:
            return
        error = register("ext_error")
        value = self.device.read64(REGS_BASE + error.offset)
        reasons = [f.doc for f in error.fields if f.width == 1 and value >> f.lsb & 1]
        if reasons:
            raise DeviceError(f"the KPU refused the layer: {'; '.join(reasons)}")

    def upload(self, layouts: tuple[MapLayout, ...], maps: np.ndarray) -> None:
        """Write dense uint8 maps (N, C, H, W) into the AI RAM; no other byte changes (spec 3.3)."""
        first, rows = layouts[0].base, layouts[-1].end - layouts[0].base
        address = AIRAM_BASE + first * ROW_BYTES
        if maps.shape[-1] % ROW_BYTES == 0:
            self.device.write_memory(address, maps.tobytes())
            return
        ram = np.frombuffer(bytearray(self.device.read_memory(address, rows * ROW_BYTES)), np.uint8)
        for layout, one in zip(layouts, maps, strict=True):
            replace(layout, base=layout.base - first).scatter(ram, one)
        self.device.write_memory(address, ram.tobytes())

    def download(self, layouts: tuple[MapLayout, ...], observe: bool = False) -> np.ndarray:
        """Read maps out of the AI RAM; dense uint8 (N, C, H, W). ``observe``: without disturbing what runs."""
        first, rows = layouts[0].base, layouts[-1].end - layouts[0].base
        read = self.device.peek_memory if observe else self.device.read_memory
        ram = np.frombuffer(read(AIRAM_BASE + first * ROW_BYTES, rows * ROW_BYTES), np.uint8)
        return np.stack([replace(layout, base=layout.base - first).gather(ram) for layout in layouts])

    def poke(self, layout: MapLayout, values: np.ndarray) -> None:
        """Write one byte per channel, pixel (0, 0), of a map in the AI RAM (v3 "add padding"; spec 3.3)."""
        address = AIRAM_BASE + layout.base * ROW_BYTES
        ram = np.frombuffer(bytearray(self.device.read_memory(address, layout.rows * ROW_BYTES)), np.uint8)
        ram[replace(layout, base=0).offsets()[:, 0, 0]] = values
        self.device.write_memory(address, ram.tobytes())


def cycle_limit(d: Descriptor, config) -> int:
    """Clock cycles after which a layer counts as hung: many times what the slowest sensible schedule needs."""
    work = d.macs // config.pes + d.i_row_wid * d.i_col_high * d.o_ch_num // config.lanes
    traffic = d.weight_bytes(False) + (d.in_layout.rows + d.out_layout.rows) * ROW_BYTES
    return 1_000_000 + 16 * (work + traffic)
