# SPDX-License-Identifier: Apache-2.0
"""Models that stay in flash: weights are fetched batch by batch while the KPU computes ("non-real-time" mode).

The DMA engine does it with one chain of descriptors: wait until a buffer is free, copy a batch of weights from flash
into it, push the KPU's layer descriptor for that batch. The host only looks again when the chain's last layer has
finished (spec/driver-api.md 1.3).
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..drivers.dma import DmaDriver
from ..drivers.flash import FlashDriver
from ..drivers.kpu import ALL_INTERRUPTS, CLEAR, ONLY_CALC_DONE, KpuDriver, cycle_limit
from ..errors import CapacityError, DeviceError, UsageError
from ..hw.descriptor import Descriptor
from ..hw.device import Clocked, Device
from ..hw.dma import DESCRIPTOR_BYTES, DmaDescriptor
from ..hw.fields import REGS_BASE, SRAM_BASE, WORDS, register
from ..kmodel.model import KpuConv, Model
from .session import Hook, LayerResult, Session

CHANNEL = 0
LAYER_BYTES = 8 * WORDS
SWAP_BYTES = 4  # a byte-swapped model is fetched in whole groups
# Batches of one DMA chain; a longer network is cut there and loses one overlap.
MAX_BATCHES = 64
STEPS_PER_BATCH = 3


@dataclass(frozen=True)
class Batch:
    """Weights of some output channels of a layer: ``size`` bytes at flash ``offset``, and the KPU layer that uses them.

    The descriptor's para_start_addr counts from the beginning of the buffer.
    """

    descriptor: Descriptor
    offset: int
    size: int


class FlashSession(Session):
    """A model in flash on a device with flash controller and DMA (``openkpu.devices.soc``).

    Parameters
    ----------
    model : the model that is in the flash.
    device, chip_rounding : as for ``Session``.
    flash : its driver; lanes and SPI clock are those it is configured for.
    offset : where the model begins in the flash.
    dual : fetch the next batch while the KPU computes.
    batch_size : bytes of a batch; 0 (single buffer only) takes whole layers as far as they fit the SRAM.

    Raises
    ------
    UsageError
        batch_size 0 with two buffers, or the flash does not hold the model there.
    CapacityError
        Tables and buffers do not fit the SRAM, or a batch is smaller than the least number of channels.
    """

    def __init__(self, model: Model, device: Device, flash: FlashDriver, offset: int, *, dual: bool, batch_size: int,
                 chip_rounding: bool = False):
        if dual and batch_size < 1:
            raise UsageError("two buffers need a batch_size above 0; 0x4000 to 0x10000 is recommended")
        self.flash, self.offset, self.dual, self.batch_size = flash, offset, dual, batch_size
        flash.address(offset, model.size)
        if not model.kpu_layers:
            raise UsageError(f"{model.source} has no layer on the KPU, so nothing can be fetched from flash for it")
        super().__init__(model, device, chip_rounding)

    def _place(self) -> None:
        """Only tables go into the SRAM; the rest of it is for buffers, layer descriptors and the DMA chain."""
        driver = self.driver = KpuDriver(self.device)
        self._descriptors = {}
        for layer in self.model.kpu_layers:
            act, bn = map(driver.place, (layer.activation, layer.batch_norm))
            self._descriptors[layer.index] = [
                replace(layer.descriptor, active_addr=act, bwsx_base_addr=bn, para_start_addr=SRAM_BASE,
                        image_src_addr=source.base, image_dst_addr=target.base)
                for source, target in zip(layer.input.layouts, layer.kpu_out.layouts, strict=True)]
        self._words = driver.reserve(MAX_BATCHES * LAYER_BYTES)
        steps = MAX_BATCHES * STEPS_PER_BATCH * DESCRIPTOR_BYTES
        self._dma = DmaDriver(self.device, CHANNEL, driver.reserve(steps), steps)
        largest = max(layer.weights.nbytes for layer in self.model.kpu_layers)
        free = self.device.config.sram_bytes - driver.sram_used
        size = self.batch_size or min(largest, free - 2 * SWAP_BYTES)
        self._limit = size
        self._buffers = [driver.reserve(size + SWAP_BYTES) for _ in range(2 if self.dual else 1)]
        fifo = _address("layer_argument_fifo")
        self._dma.allow((self._buffers[0], self._buffers[-1] + size + SWAP_BYTES), (fifo, fifo + 8))
        self._batches = {layer.index: [self._split(layer, d) for d in self._descriptors[layer.index]]
                         for layer in self.model.kpu_layers}
        self._claim_device()

    def _split(self, layer: KpuConv, d: Descriptor) -> list[Batch]:
        """Cut a layer by output channels so that the weights of each part fit a buffer."""
        per_channel = layer.weights.nbytes // d.o_ch_num
        unit = max(d.wb_group, d.coef_group) if d.depthwise else d.wb_group
        most = min(self._limit // per_channel // unit * unit or 0, d.o_ch_num)
        if self._limit >= layer.weights.nbytes:
            most = d.o_ch_num
        if most == 0:
            raise CapacityError(f"batch_size {self._limit} is smaller than the {unit * per_channel} bytes that {unit} "
                                f"output channels of layer {layer.index} ({layer.name}) need; give at least these")
        align = SWAP_BYTES if self.model.byte_swapped else 1
        batches = []
        for first in range(0, d.o_ch_num, most):
            count = min(most, d.o_ch_num - first)
            at = layer.weights_offset + first * per_channel
            skip = at % align
            size = -(-(skip + count * per_channel) // align) * align
            batches.append(Batch(_channels(d, first, count, per_channel, skip), self.offset + at - skip, size))
        return batches

    def _run_chain(self, chain: Sequence[KpuConv], hooks: tuple[Hook, ...]) -> None:
        """Run neighbouring KPU layers, as many at a time as the host need not look at the results of."""
        waiting: list[tuple[KpuConv, list[Batch]]] = []
        outputs: list[np.ndarray] = []
        for layer in chain:
            seen_by_host = bool(hooks) or layer.stream or layer.main_out is not None
            for n, batches in enumerate(self._batches[layer.index]):
                waiting.append((layer, batches))
                full = sum(len(part) for _, part in waiting) + len(batches) > MAX_BATCHES
                last = layer is chain[-1] and n + 1 == len(self._batches[layer.index])
                if not (seen_by_host or full or last):
                    continue
                self._run_step(layer, n, waiting, hooks, seen_by_host, outputs)
                waiting = []
            if layer.main_out is not None:
                self.store(layer.main_out, np.stack(outputs))
            outputs = []

    def _run_step(self, layer: KpuConv, n: int, waiting: list[tuple[KpuConv, list[Batch]]], hooks: tuple[Hook, ...],
                  seen_by_host: bool, outputs: list[np.ndarray]) -> None:
        begin = time.perf_counter()
        for hook in hooks if n == 0 else ():
            hook.layer_started(layer)
        try:
            cycles = self._fetch_and_run([batch for _, part in waiting for batch in part])
        except DeviceError as error:
            raise type(error)(f"layers {waiting[0][0].index} to {layer.index}, streamed from flash: {error}") from error
        if cycles is not None:
            self.cycles = (self.cycles or 0) + cycles
        if not seen_by_host:
            return
        outputs.append(self.driver.download((layer.kpu_out.layouts[n],))[0])
        d = self._descriptors[layer.index][n]
        result = LayerResult(layer.index, layer.name, "kpu", d.in_shape, d.out_shape, d.macs,
                             zlib.crc32(np.ascontiguousarray(outputs[-1]).data), time.perf_counter() - begin, cycles)
        for hook in hooks:
            hook.layer_done(result, outputs[-1])

    def _fetch_and_run(self, batches: list[Batch]) -> int | None:
        """One DMA chain from the first fetch to the last layer's end; clock cycles it took.

        The flash is identified before and after: what is read while it is not there looks like any data.
        """
        self.flash.check()
        before = self.device.cycles if isinstance(self.device, Clocked) else None
        self.device.write64(_address("ext_control"), CLEAR)
        self.device.write64(_address("interrupt_clear"), ALL_INTERRUPTS)
        self.device.write64(_address("interrupt_mask"), ONLY_CALC_DONE)
        self._dma.start(self._chain(batches))
        self._wait(batches)
        self.device.write64(_address("interrupt_mask"), ALL_INTERRUPTS)
        cycles = None
        if before is not None and isinstance(self.device, Clocked):
            cycles = self.device.cycles - before
        self.flash.check()
        return cycles

    def _wait(self, batches: list[Batch]) -> None:
        limit = sum(cycle_limit(b.descriptor, self.device.config) + 2 * self.flash.cycles_per_byte * b.size
                    for b in batches)
        fetched = False
        while True:
            self.device.wait_interrupt(limit)
            fetched |= self._dma.check()
            self.device.write64(_address("interrupt_clear"), ALL_INTERRUPTS)
            self.driver.check_status()
            if self.device.read64(_address("ext_layers")) >= len(batches):
                break
        if not fetched and not self._dma.check():
            raise DeviceError("the KPU finished more layers than the DMA has pushed")

    def _chain(self, batches: list[Batch]) -> list[DmaDescriptor]:
        layers, fifo = _address("ext_layers"), _address("layer_argument_fifo")
        steps, words = [], b""
        for i, batch in enumerate(batches):
            buffer = self._buffers[i % len(self._buffers)]
            ended = i - len(self._buffers) + 1  # layers that must have ended before this buffer is free
            if ended > 0:
                steps.append(DmaDescriptor.wait(layers, ended))
            window = self.flash.address(batch.offset, batch.size)
            steps += [DmaDescriptor.copy(window, buffer, batch.size, swap32=int(self.model.byte_swapped)),
                      DmaDescriptor.copy(self._words + i * LAYER_BYTES, fifo, LAYER_BYTES, dst_fixed=1)]
            d = replace(batch.descriptor, para_start_addr=buffer + batch.descriptor.para_start_addr, send_data_out=0,
                        int_en=int(i + 1 == len(batches)))
            words += b"".join(word.to_bytes(8, "little") for word in d.pack())
        self.device.write_memory(self._words, words)
        return steps


def _address(name: str) -> int:
    return REGS_BASE + register(name).offset


def _channels(d: Descriptor, first: int, count: int, per_channel: int, skip: int) -> Descriptor:
    """The part of a layer that computes output channels ``first`` to ``first + count``."""
    per_load = min(d.o_ch_num_coef, count)
    part = replace(d, o_ch_num=count, o_ch_num_coef=per_load, load_time=-(-count // per_load),
                   para_size=per_load * per_channel, para_start_addr=skip, bwsx_base_addr=d.bwsx_base_addr + 8 * first,
                   image_dst_addr=d.image_dst_addr + first // d.wb_group * d.wb_channel_switch_addr,
                   dma_total_byte=d.o_row_wid * d.o_col_high * count)
    if d.depthwise:
        part = replace(part, i_ch_num=count,
                       image_src_addr=d.image_src_addr + first // d.coef_group * d.channel_switch_addr)
    return part
