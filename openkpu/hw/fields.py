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


# Address map of the chip (bus addresses; spec 1.1). Only the low 30 bits are decoded.
SRAM_BASE = 0x4000_0000
SRAM_BYTES = 6 << 20
AIRAM_BASE = 0x4060_0000
AIRAM_BYTES = 2 << 20
REGS_BASE = 0x4080_0000
# Addresses below were free on the chip and are used by kpu_soc only.
EXTENSION_PAGE = 0x1000

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
    Register("ext_id", 0x1000, "R", "identification", fields=(
        Field("magic", 0, 32, doc="0x4F4B5055, 'OKPU'"), Field("version", 32, 16), Field("has_16bit", 48, 1,
              doc="1 = 16-bit weights are supported"))),
    Register("ext_config", 0x1008, "R", "configuration", fields=(
        Field("pes", 0, 16, doc="processing elements, 9 multipliers each"),
        Field("lanes", 16, 16, doc="post-processing lanes"),
        Field("tile_pixels", 32, 16, doc="pixels of one tile at most"),
        Field("layer_fifo", 48, 8, doc="descriptors that can be queued"))),
    Register("ext_memories", 0x1010, "R", "sizes of the memories", fields=(
        Field("airam_rows", 0, 32, doc="64-byte rows of AI RAM"),
        Field("weight_bytes", 32, 32, doc="bytes of one weight buffer"))),
    Register("ext_control", 0x1018, "W", "bit 0 clears all counters and the error status", fields=(
        Field("clear", 0, 1),)),
    Register("ext_error", 0x1020, "R", "error status of the layers since the last clear", fields=(
        Field("bad_geometry", 0, 1, doc="sizes, strides or groups contradict each other"),
        Field("airam_range", 1, 1, doc="source or destination outside the AI RAM"),
        Field("weight_size", 2, 1, doc="one load exceeds the weight buffer"),
        Field("unsupported", 3, 1, doc="feature not in this configuration"),
        Field("bus_error", 4, 1, doc="parameter fetch answered with an error"),
        Field("layer", 16, 16, doc="number of the first layer with an error, counted from the last clear"))),
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
)

# Figures of each layer, so that software which keeps the queue filled still gets every layer's own: the layer with
# number n, counted from the last clear, is at EXT_LOG_BASE + (n % EXT_LOG_ENTRIES) * EXT_LOG_STRIDE.
EXT_LOG_BASE = 0x1100
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
    _arg(4, "pool_type", 4, 4, doc="section 8"),
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
    """The register called ``name`` (chip or extension page); KeyError if there is none."""
    return _BY_NAME[name]


_BY_NAME = {r.name: r for r in REGISTERS + EXTENSIONS}


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
)
DESCRIPTORS: tuple[tuple[str, str, tuple[Arg, ...]], ...] = (
    ("KPU layer descriptor", "D", DESCRIPTOR),
)
