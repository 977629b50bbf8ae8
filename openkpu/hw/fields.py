# SPDX-License-Identifier: Apache-2.0
"""The one table of registers and descriptor fields (spec/kpu-hardware.md sections 1.2 and 2).

The Verilog include, the C header and the register reference in docs/ are generated from
here by ``python -m openkpu.hw.generate``; a test fails when they are stale.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """One bit field. ``enc`` is "u" (unsigned), "s" (two's complement) or "m1" (value minus one)."""

    name: str
    lsb: int
    width: int
    enc: str = "u"
    doc: str = ""

    @property
    def mask(self) -> int:
        return (1 << self.width) - 1


@dataclass(frozen=True)
class Register:
    """One 64-bit register; ``offset`` in bytes from the register base."""

    name: str
    offset: int
    access: str
    doc: str
    reset: int = 0
    fields: tuple[Field, ...] = ()

    def flags(self, *names: str) -> tuple[int, ...]:
        """The values with only the named one-bit field set, in the order of the names."""
        place = {field.name: field.lsb for field in self.fields}
        return tuple(1 << place[name] for name in names)


# Address map of the chip (bus addresses; spec 1.1). Only the low 30 bits are decoded.
SRAM_BASE = 0x4000_0000
SRAM_BYTES = 6 << 20
AIRAM_BASE = 0x4060_0000
AIRAM_BYTES = 2 << 20
REGS_BASE = 0x4080_0000
# Addresses below were free on the chip and are used by kpu_soc only.
EXTENSION_PAGE = 0x1000
FLASH_REGS_BASE = 0x4090_0000
DMA_REGS_BASE = 0x40A0_0000
# Where the chip maps its SPI3 flash for execution in place.
FLASH_WINDOW_BASE = 0x5400_0000
FLASH_WINDOW_BYTES = 16 << 20

ROW_BYTES = 64

_IRQ = (
    Field("calc_done", 0, 1, doc="a layer with int_en has finished"),
    Field("layer_cfg_almost_empty", 1, 1, doc="a layer was popped and at most fifo_empty_threshold are left"),
    Field("layer_cfg_almost_full", 2, 1, doc="a push made the count reach fifo_full_threshold"),
)

REGISTERS: tuple[Register, ...] = (
    Register("layer_argument_fifo", 0x00, "W", "descriptor word; 12 writes make one layer"),
    Register("interrupt_status", 0x08, "R", "raw and not mask", fields=_IRQ),
    Register("interrupt_raw", 0x10, "R", "events before the mask", fields=_IRQ),
    Register("interrupt_mask", 0x18, "RW", "1 = masked", reset=7, fields=_IRQ),
    Register("interrupt_clear", 0x20, "W", "write 1 to clear the raw bit", fields=_IRQ),
    Register("fifo_threshold", 0x28, "RW", "in complete layers", fields=(
        Field("fifo_full_threshold", 0, 4), Field("fifo_empty_threshold", 4, 4))),
    Register("fifo_data_out", 0x30, "R", "pops one word of output data; 0 when empty"),
    Register("fifo_ctrl", 0x38, "RW", "active-low flushes", reset=0x1F, fields=(
        Field("dma_fifo_flush_n", 0, 1), Field("gs_fifo_flush_n", 1, 1),
        Field("cfg_fifo_flush_n", 2, 1), Field("cmd_fifo_flush_n", 3, 1),
        Field("resp_fifo_flush_n", 4, 1))),
    Register("eight_bit_mode", 0x40, "RW", "1 = 8-bit weights, 0 = 16-bit weights", fields=(
        Field("eight_bit", 0, 1),)),
)

KPU_ID_MAGIC = 0x4F4B5055  # "OKPU"

EXTENSIONS: tuple[Register, ...] = (
    Register("ext_id", 0x1000, "R", "identification", reset=KPU_ID_MAGIC | 1 << 32 | 1 << 48, fields=(
        Field("magic", 0, 32, doc="0x4F4B5055, 'OKPU'"), Field("version", 32, 16), Field("has_16bit", 48, 1,
              doc="1 = 16-bit weights are supported"))),
    Register("ext_config", 0x1008, "R", "configuration", fields=(
        Field("pes", 0, 16, doc="processing elements, 9 multipliers each"),
        Field("lanes", 16, 16, doc="post-processing lanes"),
        Field("tile_pixels", 32, 16, doc="pixels of one tile at most"),
        Field("layer_fifo", 48, 8, doc="descriptors that can be queued"))),
    Register("ext_memories", 0x1010, "R", "sizes of the memories", fields=(
        Field("airam_rows", 0, 32, doc="64-byte rows of AI RAM"),
        Field("weight_bytes", 32, 32, doc="bytes of the weight buffer; a load may have so many"))),
    Register("ext_control", 0x1018, "W", "counters and single layers", fields=(
        Field("clear", 0, 1, doc="clear all counters and the error status"),
        Field("stepping", 1, 1, doc="1 = queued layers fetch their parameters and wait for a step; kept until 0"),
        Field("step", 2, 1, doc="with stepping: one more layer may start"),
        Field("stream_off", 3, 1, doc="1 = output data leaves through fifo_data_out only and m_axis_tvalid stays low; "
                                      "kept until 0"))),
    Register("ext_error", 0x1020, "R", "error status of the layers since the last clear", fields=(
        Field("bad_geometry", 0, 1, doc="sizes, strides or groups contradict each other"),
        Field("airam_range", 1, 1, doc="source or destination outside the AI RAM"),
        Field("weight_size", 2, 1, doc="one load exceeds the weight buffer"),
        Field("unsupported", 3, 1, doc="feature not in this configuration"),
        Field("bus_error", 4, 1, doc="parameter fetch answered with an error"),
        Field("layer", 16, 16, doc="number of the first layer with an error, counted from 0 since the last clear"))),
    Register("ext_layers", 0x1028, "R", "layers finished since the last clear"),
    Register("ext_cycles", 0x1030, "R", "cycles with a layer in execution"),
    Register("ext_busy", 0x1038, "R", "cycles in which the array computed"),
    Register("ext_wait_param", 0x1040, "R", "cycles the array waited for parameters"),
    Register("ext_wait_feature", 0x1048, "R", "cycles the array waited for features"),
    Register("ext_wait_writeback", 0x1050, "R", "cycles the array waited for post-processing or write-back"),
    Register("ext_fifo_level", 0x1058, "R", "fill levels", fields=(
        Field("out_words", 0, 16, doc="64-bit words in the output FIFO"),
        Field("layers", 16, 8, doc="descriptors queued"),
        Field("busy", 24, 1, doc="a layer is in execution"))),
    Register("ext_cache", 0x1060, "RW", "cache of the AI RAM, where there is one", fields=(
        Field("flush", 0, 1, doc="1 = write all changed bytes to the external memory"),
        Field("invalidate", 1, 1, doc="1 = forget every line, after the flush if both are set"),
        Field("busy", 2, 1, doc="reads 1 until that is done and the memory has answered"),
        Field("lines", 32, 16, doc="reads the 64-byte lines; 0 = the AI RAM is on the chip"))),
    Register("ext_cache_reads", 0x1068, "R", "row reads that the cache answered since the last clear"),
    Register("ext_cache_misses", 0x1070, "R", "of these, reads that fetched a line"),
    Register("ext_cache_evictions", 0x1078, "R", "lines written back to the external memory"),
    Register("ext_cache_wait", 0x1080, "R", "cycles in which the oldest read waited for its line"),
)

# Figures of each layer, so that software which keeps the queue filled still gets every layer's own: the layer with
# number n, counted from the last clear, is at EXT_LOG_BASE + (n % EXT_LOG_ENTRIES) * EXT_LOG_STRIDE.
EXT_LOG_BASE = 0x1400
EXT_LOG_STRIDE = 64
EXT_LOG_ENTRIES = 16
EXT_LOG: tuple[Register, ...] = (
    Register("ext_log_work", 0x00, "R", "from the end of the layer before it, or its own start, to its end", fields=(
        Field("cycles", 0, 32, doc="as ext_cycles"), Field("busy", 32, 32, doc="as ext_busy"))),
    Register("ext_log_inputs", 0x08, "R", "what the array waited for", fields=(
        Field("wait_param", 0, 32, doc="as ext_wait_param"), Field("wait_feature", 32, 32, doc="as ext_wait_feature"))),
    Register("ext_log_outputs", 0x10, "R", "what the array waited for, and whose figures these are", fields=(
        Field("wait_writeback", 0, 32, doc="as ext_wait_writeback"),
        Field("layer", 32, 32, doc="number of the layer, counted from the last clear"))),
)

FLASH_ID_MAGIC = 0x4F4B4653  # "OKFS"
FLASH_PAGE_BYTES = 256
FLASH_SECTOR_BYTES = 4096

# Operations of flash_command.
FLASH_OPS = {"read_id": 1, "read_status": 2, "write_enable": 3, "wait_ready": 4, "page_program": 5, "sector_erase": 6,
             "enable_quad": 7}

_FLASH_EVENTS = (
    Field("done", 0, 1, doc="the last command has finished, with or without an error"),
    Field("no_flash", 1, 1, doc="no flash answers: its id reads all zeros or all ones, or its status all ones"),
    Field("wrong_id", 2, 1, doc="the JEDEC id differs from flash_expect"),
    Field("timeout", 3, 1, doc="the flash stayed busy for longer than flash_timeout"),
    Field("protected", 4, 1, doc="the flash did not take the write enable, or keeps quad mode off"),
    Field("range", 5, 1, doc="a command left flash_burn_window, flash_size or its page; it was not sent"),
    Field("page_data", 6, 1, doc="more than 256 bytes pushed, or fewer than the command programs"),
    Field("refused", 7, 1, doc="a read through the window was answered with SLVERR"),
    Field("command_lost", 8, 1, doc="a command was written while one was running, or is unknown"),
)

FLASH_REGISTERS: tuple[Register, ...] = (
    Register("flash_id", 0x00, "R", "identification", reset=FLASH_ID_MAGIC | 1 << 32, fields=(
        Field("magic", 0, 32, doc="0x4F4B4653, 'OKFS'"), Field("version", 32, 16))),
    Register("flash_control", 0x08, "RW", "read window and interrupt", fields=(
        Field("window_enable", 0, 1, doc="reads through the window are answered; a failed read_id clears it"),
        Field("irq_enable", 1, 1, doc="done and the errors raise the interrupt"))),
    Register("flash_timing", 0x10, "RW", "SPI clock", reset=16 << 8 | 8, fields=(
        Field("divider", 0, 8, doc="clock cycles of one SPI cycle, at least 2"),
        Field("cs_high", 8, 8, doc="clock cycles chip select rests between transactions"))),
    Register("flash_read", 0x18, "RW", "the read command of the window", reset=0x03, fields=(
        Field("opcode", 0, 8),
        Field("address_lanes", 8, 2, doc="0, 1, 2 = one, two, four lanes"),
        Field("data_lanes", 10, 2, doc="0, 1, 2 = one, two, four lanes"),
        Field("mode_enable", 12, 1, doc="send mode_byte behind the address, on the address lanes"),
        Field("dummy_cycles", 16, 8, doc="SPI cycles between address (or mode byte) and data"),
        Field("mode_byte", 24, 8))),
    Register("flash_size", 0x20, "RW", "bytes of the flash", reset=FLASH_WINDOW_BYTES, fields=(
        Field("size", 0, 25),)),
    Register("flash_expect", 0x28, "RW", "JEDEC id that read_id must find; 0 = any", fields=(
        Field("expect", 0, 24),)),
    Register("flash_burn_window", 0x30, "RW", "page_program and sector_erase work inside it only", fields=(
        Field("burn_first", 0, 24, doc="first byte"), Field("burn_end", 32, 25, doc="first byte behind it"))),
    Register("flash_timeout", 0x38, "RW", "clock cycles the flash may stay busy", reset=0xFFFF_FFFF, fields=(
        Field("busy_cycles", 0, 32),)),
    Register("flash_command", 0x40, "W", "starts an operation", fields=(
        Field("op", 0, 4, doc=", ".join(f"{number} {name}" for name, number in FLASH_OPS.items())),
        Field("length", 8, 9, doc="bytes to program, 1 to 256, inside one page"),
        Field("address", 32, 24))),
    Register("flash_status", 0x48, "R", "events since they were cleared, and the state", fields=_FLASH_EVENTS + (
        Field("busy", 15, 1, doc="a command is running"),
        Field("device_status", 16, 8, doc="status byte the flash sent last"),
        Field("page_words", 24, 6, doc="64-bit words in the page buffer"))),
    Register("flash_clear", 0x50, "W", "write 1 to clear an event of flash_status", fields=_FLASH_EVENTS),
    Register("flash_jedec", 0x58, "R", "result of read_id", fields=(
        Field("jedec", 0, 24, doc="manufacturer in bits 23:16, type, capacity"),)),
    Register("flash_page_data", 0x60, "W", "appends 8 bytes to the page buffer; the next command empties it"),
)

DMA_ID_MAGIC = 0x4F4B444D  # "OKDM"
DMA_CHANNELS = 3
DMA_CHANNEL_STRIDE = 0x80
DMA_CHANNEL_BASE = 0x100

_DMA_EVENTS = (
    Field("done", 0, 1, doc="the chain ended, or a descriptor with irq finished"),
    Field("bus_read", 1, 1, doc="a read was answered with an error"),
    Field("bus_write", 2, 1, doc="a write was answered with an error"),
    Field("window", 3, 1, doc="a write outside both windows was refused"),
    Field("descriptor", 4, 1, doc="descriptor malformed or not on a 64-byte boundary"),
    Field("timeout", 5, 1, doc="no progress for dma_timeout cycles"),
    Field("aborted", 6, 1, doc="stopped by the abort bit"),
)

DMA_REGISTERS: tuple[Register, ...] = (
    Register("dma_id", 0x00, "R", "identification", reset=DMA_ID_MAGIC | 1 << 32, fields=(
        Field("magic", 0, 32, doc="0x4F4B444D, 'OKDM'"), Field("version", 32, 16), Field("channels", 48, 8))),
    Register("dma_irq_status", 0x08, "R", "bit n: channel n has an event and its interrupt is enabled"),
    Register("dma_irq_enable", 0x10, "RW", "bit n enables the interrupt of channel n", fields=(
        Field("enable", 0, 8),)),
)

# One copy per channel at DMA_CHANNEL_BASE + n * DMA_CHANNEL_STRIDE.
DMA_CHANNEL_REGISTERS: tuple[Register, ...] = (
    Register("dma_control", 0x00, "W", "starts and stops the channel", fields=(
        Field("start", 0, 1, doc="run the chain at dma_first; ignored while busy"),
        Field("abort", 1, 1, doc="finish the bursts on the bus, then stop"))),
    Register("dma_status", 0x08, "R", "events since they were cleared, and the state", fields=_DMA_EVENTS + (
        Field("busy", 15, 1), Field("descriptors", 16, 16, doc="descriptors finished since start"))),
    Register("dma_clear", 0x10, "W", "write 1 to clear an event of dma_status", fields=_DMA_EVENTS),
    Register("dma_first", 0x18, "RW", "address of the first descriptor", fields=(Field("first", 0, 32),)),
    Register("dma_window0", 0x20, "RW", "the channel writes inside window 0 and window 1 only", fields=(
        Field("base", 0, 32, doc="first byte"), Field("end", 32, 32, doc="first byte behind it"))),
    Register("dma_window1", 0x28, "RW", "as dma_window0", fields=(Field("base", 0, 32), Field("end", 32, 32))),
    Register("dma_timeout", 0x30, "RW", "cycles without progress that count as an error", reset=1 << 24, fields=(
        Field("idle_cycles", 0, 32),)),
    Register("dma_bytes", 0x38, "R", "bytes written since start"),
    Register("dma_current", 0x40, "R", "descriptor in execution, and the address of the first error", fields=(
        Field("current", 0, 32), Field("fault", 32, 32))),
)


@dataclass(frozen=True)
class Arg:
    """One descriptor field: ``word`` 0..11 and its bit field."""

    word: int
    field: Field


def _arg(word: int, name: str, lsb: int, width: int, enc: str = "u", doc: str = "") -> Arg:
    return Arg(word, Field(name, lsb, width, enc, doc))


WORDS = 12
WORD_NAMES = (
    "interrupt_enabe", "image_addr", "image_channel_num", "image_size", "kernel_pool_type_cfg",
    "kernel_load_cfg", "kernel_offset", "kernel_calc_type_cfg", "write_back_cfg", "conv_value",
    "conv_value2", "dma_parameter",
)

DESCRIPTOR: tuple[Arg, ...] = (
    _arg(0, "int_en", 0, 1, doc="set calc_done when this layer finishes"),
    _arg(0, "ram_flag", 1, 1, doc="accepted and ignored"),
    _arg(0, "full_add", 2, 1, doc="stream one 64-bit sum per output channel"),
    _arg(0, "depth_wise_layer", 3, 1, doc="output channel c uses only input channel c"),
    _arg(1, "image_src_addr", 0, 15, doc="first 64-byte row of the input map"),
    _arg(1, "image_dst_addr", 32, 15, doc="first 64-byte row of the output map"),
    _arg(2, "i_ch_num", 0, 10, "m1", "input channels"),
    _arg(2, "o_ch_num", 32, 10, "m1", "output channels"),
    _arg(2, "o_ch_num_coef", 48, 10, "m1", "output channels whose weights fit one load"),
    _arg(3, "i_row_wid", 0, 10, "m1", "input width"),
    _arg(3, "i_col_high", 10, 9, "m1", "input height"),
    _arg(3, "o_row_wid", 32, 10, "m1", "output width"),
    _arg(3, "o_col_high", 42, 9, "m1", "output height"),
    _arg(4, "kernel_type", 0, 3, doc="0 = 1x1, 1 = 3x3"),
    _arg(4, "pad_type", 3, 1, doc="accepted and ignored"),
    _arg(4, "pool_type", 4, 4, doc="kpu-hardware.md section 8"),
    _arg(4, "first_stride", 8, 1, doc="use only even rows and columns of the input"),
    _arg(4, "bypass_conv", 9, 1, doc="skip the convolution"),
    _arg(4, "load_para", 10, 1, doc="fetch the batch-norm table"),
    _arg(4, "dma_burst_size", 16, 8, "m1", "beats of a parameter burst"),
    _arg(4, "pad_value", 24, 8, doc="pixel outside the image"),
    _arg(4, "bwsx_base_addr", 32, 32, doc="bus address of the batch-norm table"),
    _arg(5, "load_coor", 0, 1, doc="fetch the weights"),
    _arg(5, "load_time", 1, 6, "m1", "weight loads"),
    _arg(5, "para_size", 15, 17, doc="bytes of one weight load"),
    _arg(5, "para_start_addr", 32, 32, doc="bus address of the weights"),
    _arg(6, "coef_column_offset", 0, 4, doc="accepted and ignored"),
    _arg(6, "coef_row_offset", 4, 12, doc="accepted and ignored"),
    _arg(7, "channel_switch_addr", 0, 15, doc="rows from one input channel group to the next"),
    _arg(7, "row_switch_addr", 16, 4, doc="rows from one input line to the next"),
    _arg(7, "coef_size", 20, 8, doc="accepted and ignored"),
    _arg(7, "coef_group", 28, 3, doc="channels per input row: 1, 2 or 4"),
    _arg(7, "load_act", 31, 1, doc="fetch the activation table"),
    _arg(7, "active_addr", 32, 32, doc="bus address of the activation table"),
    _arg(8, "wb_channel_switch_addr", 0, 15, doc="rows from one output channel group to the next"),
    _arg(8, "wb_row_switch_addr", 16, 4, doc="rows from one output line to the next"),
    _arg(8, "wb_group", 20, 3, doc="channels per output row: 1, 2 or 4"),
    _arg(9, "shr_w", 0, 4, doc="shift of the weight-sum term"),
    _arg(9, "shr_x", 4, 4, doc="shift of the pixel-sum term"),
    _arg(9, "arg_w", 8, 24, "s", "factor of the weight sum"),
    _arg(9, "arg_x", 32, 24, "s", "factor of the pixel sum"),
    _arg(10, "arg_add", 0, 40, "s", "constant per input channel"),
    _arg(11, "send_data_out", 0, 1, doc="also stream the result"),
    _arg(11, "channel_byte_num", 16, 16, "m1", "bytes of one output channel, modulo 65536"),
    _arg(11, "dma_total_byte", 32, 32, "m1", "bytes of the output map"),
)

# DMA descriptors: 64 bytes on a 64-byte boundary; words 6 and 7 are reserved.
DMA_WORDS = 8
DMA_OPS = {"copy": 1, "wait": 2}

DMA_DESCRIPTOR: tuple[Arg, ...] = (
    _arg(0, "op", 0, 4, doc="1 copy; 2 wait until (word at src & mask) >= value"),
    _arg(0, "irq", 4, 1, doc="set done when this descriptor has finished"),
    _arg(0, "src_fixed", 5, 1, doc="every read is 8 bytes at src"),
    _arg(0, "dst_fixed", 6, 1, doc="every write is 8 bytes at dst"),
    _arg(0, "src_stream", 7, 1, doc="take the KPU's output stream instead of src; one row only"),
    _arg(0, "swap32", 8, 1, doc="reverse the bytes of every 4-byte group, counted from the start"),
    _arg(0, "next", 32, 32, doc="address of the next descriptor, 0 = last"),
    _arg(1, "src", 0, 32, doc="bus address"),
    _arg(1, "dst", 32, 32, doc="bus address"),
    _arg(2, "row_bytes", 0, 24, doc="bytes of one row"),
    _arg(2, "rows", 32, 16, doc="number of rows"),
    _arg(3, "src_stride", 0, 32, "s", "bytes from one source row to the next"),
    _arg(3, "dst_stride", 32, 32, "s", "bytes from one destination row to the next"),
    _arg(4, "mask", 0, 64, doc="wait: bits of the word that count"),
    _arg(5, "value", 0, 64, doc="wait: least value that ends the wait"),
)

# Parameter tables (spec section 4.3, 4.4).
BN_FIELDS = (Field("norm_mul", 0, 24, "s"), Field("norm_add", 24, 32, "s"), Field("norm_shift", 56, 4))
ACT_FIELDS = (Field("shift_number", 0, 8), Field("y_mul", 8, 16, "s"), Field("x_start", 24, 36, "s"))
ACT_SEGMENTS = 16
ACT_TABLE_BYTES = 144

# pool_type -> (window, stride) (spec section 8); types above 9 count as bypass.
POOLS = ((1, 1), (2, 2), (2, 2), (4, 4), (4, 4), (2, 2), (2, 2), (4, 4), (2, 1), (2, 1))
POOL_NAMES = ("none", "max 2x2", "mean 2x2", "max 4x4", "mean 4x4", "left-top 2x2",
              "right-top 2x2", "left-top 4x4", "mean 2x2 s1", "max 2x2 s1")


def register(name: str) -> Register:
    """The register called ``name`` (of any block; those of repeated blocks for copy 0); KeyError if there is none."""
    return _BY_NAME[name]


_BY_NAME = {r.name: r for r in REGISTERS + EXTENSIONS + FLASH_REGISTERS + DMA_REGISTERS + DMA_CHANNEL_REGISTERS}
# In ``ext_fifo_level``: the layers that wait.
LAYERS_QUEUED = next(f.mask << f.lsb for f in register("ext_fifo_level").fields if f.name == "layers")


@dataclass(frozen=True)
class Block:
    """Registers at ``base`` bytes behind the base of their peripheral, ``copies`` times, ``stride`` bytes apart."""

    title: str
    registers: tuple[Register, ...]
    base: int = 0
    copies: int = 1
    stride: int = 0


# Everything the generated files describe: register blocks, and descriptors as (title, prefix of the names, table).
BLOCKS: tuple[Block, ...] = (
    Block("KPU registers", REGISTERS),
    Block("KPU extension page", EXTENSIONS),
    Block("KPU layer log", EXT_LOG, EXT_LOG_BASE, EXT_LOG_ENTRIES, EXT_LOG_STRIDE),
    Block("Flash controller", FLASH_REGISTERS),
    Block("DMA engine", DMA_REGISTERS),
    Block("DMA channel", DMA_CHANNEL_REGISTERS, DMA_CHANNEL_BASE, DMA_CHANNELS, DMA_CHANNEL_STRIDE),
)
DESCRIPTORS: tuple[tuple[str, str, tuple[Arg, ...]], ...] = (
    ("KPU layer descriptor", "D", DESCRIPTOR),
    ("DMA descriptor", "DMA_D", DMA_DESCRIPTOR),
)
