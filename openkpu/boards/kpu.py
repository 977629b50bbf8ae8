# SPDX-License-Identifier: Apache-2.0
"""``kpu_core`` as a LiteX module: registers on Wishbone, AI RAM on Wishbone, parameters and rows from LiteDRAM."""

from __future__ import annotations

from litedram.common import LiteDRAMNativePort
from litedram.frontend.adapter import LiteDRAMNativePortConverter
from litedram.frontend.axi import LiteDRAMAXI2Native
from litex.gen import LiteXModule
from litex.soc.interconnect import axi, wishbone
from litex.soc.interconnect.csr import CSR, CSRStatus, CSRStorage
from migen import FSM, ClockSignal, If, Instance, NextState, NextValue, ResetInserter, ResetSignal, Signal
from migen.fhdl.bitcontainer import log2_int

from ..hw.board import (
    ALIAS_BYTES,
    MAIN_RAM,
    OWNER_SECONDS,
    PAGE_MAGIC,
    PUSH_REGISTER,
    PUSH_WINDOW,
    ROWS_OFFSET,
    STREAM_REGISTER,
    STREAM_WINDOW,
    page_address,
)
from ..hw.configs import CORES, CoreParameters
from ..hw.sources import INCLUDE, below

ID_BITS = 4


class RegisterBridge(LiteXModule):
    """Wishbone of 32 bits to the core's 64-bit registers, which know no halves.

    The write of a register is its upper half's, with the lower half written before. Reading the lower half reads the
    register, and the upper half read next is of the same moment. The upper half of the window repeats two registers
    (``openkpu.hw.board``).
    """

    def __init__(self) -> None:
        self.bus = bus = wishbone.Interface(data_width=32, address_width=32, addressing="word")
        self.axil = axil = axi.AXILiteInterface(data_width=64, address_width=16)
        low, high, offset, upper = Signal(32), Signal(32), Signal(16), Signal()
        address_done, data_done = Signal(), Signal()
        self.comb += [
            upper.eq(bus.adr[0]),
            offset.eq((bus.adr[1:14]) << 3),
            If(bus.adr[12:14] == STREAM_WINDOW // ALIAS_BYTES, offset.eq(STREAM_REGISTER)),
            If(bus.adr[12:14] == PUSH_WINDOW // ALIAS_BYTES, offset.eq(PUSH_REGISTER)),
            axil.aw.addr.eq(offset), axil.ar.addr.eq(offset), bus.dat_r.eq(axil.r.data[:32]),
            axil.w.data[:32].eq(low), axil.w.data[32:].eq(bus.dat_w), axil.w.strb.eq(0xFF),
        ]
        self.fsm = fsm = FSM(reset_state="IDLE")
        fsm.act("IDLE", NextValue(address_done, 0), NextValue(data_done, 0), If(
            bus.cyc & bus.stb,
            If(bus.we & upper, NextState("WRITE"))
            .Elif(bus.we, bus.ack.eq(1), NextValue(low, bus.dat_w))
            .Elif(upper, bus.ack.eq(1), bus.dat_r.eq(high))
            .Else(NextState("READ"))))
        fsm.act("WRITE", axil.aw.valid.eq(~address_done), axil.w.valid.eq(~data_done), axil.b.ready.eq(1),
                If(axil.aw.ready, NextValue(address_done, 1)), If(axil.w.ready, NextValue(data_done, 1)),
                If(axil.b.valid, bus.ack.eq(1), NextState("IDLE")))
        fsm.act("READ", axil.ar.valid.eq(~address_done), axil.r.ready.eq(1),
                If(axil.ar.ready, NextValue(address_done, 1)),
                If(axil.r.valid, bus.ack.eq(1), NextValue(high, axil.r.data[32:]), NextState("IDLE")))


class DramPort(LiteXModule):
    """An AXI4 master of 64 bits on a port of LiteDRAM's crossbar, whatever the port's width."""

    def __init__(self, bus: axi.AXIInterface, port: LiteDRAMNativePort) -> None:
        ratio = log2_int(max(bus.data_width, port.data_width) // min(bus.data_width, port.data_width))
        width = port.address_width + (ratio if port.data_width > bus.data_width else -ratio)
        wide = LiteDRAMNativePort("both", width, bus.data_width)
        narrow = LiteDRAMNativePort("both", port.address_width, port.data_width)
        self.adapter = LiteDRAMAXI2Native(bus, wide, base_address=MAIN_RAM)
        self.converter = LiteDRAMNativePortConverter(wide, narrow)
        self.comb += [
            *narrow.connect(port),
            # The controller takes the data when it wants them; there are none after a reset in the middle of a burst.
            If(~narrow.wdata.valid, port.wdata.we.eq(0)),
        ]


class Kpu(LiteXModule):
    """The KPU with the board page (``openkpu.hw.board``).

    Parameters
    ----------
    platform : gets the Verilog files.
    core : parameters of ``kpu_core``, by default those of configuration "board". With ``CACHE_LINES`` above 0 rows of
        the AI RAM lie in the external memory, ``ROWS_OFFSET`` above its beginning.
    parameter_port, row_port : ports of LiteDRAM's crossbar, of its own width; ``row_port`` only with a cache.
    clock : Hz.
    dram_mode : mode register of an SDR SDRAM that the host starts; 0 = firmware does.

    Attributes
    ----------
    registers : Wishbone slave of 32 bits, a window of 64 KiB.
    airam : Wishbone slave of 64 bits.
    irq : level.
    memory_started : input; firmware has started the external memory.
    """

    def __init__(self, platform, parameter_port: LiteDRAMNativePort, row_port: LiteDRAMNativePort | None = None,
                 core: CoreParameters = CORES["board"], clock: float = 50e6, dram_mode: int = 0) -> None:
        self.bridge = RegisterBridge()
        self.registers = self.bridge.bus
        self.airam = wishbone.Interface(data_width=64, address_width=32, addressing="word")
        airam = axi.AXIInterface(data_width=64, address_width=32, id_width=ID_BITS)
        self.airam_bridge = axi.Wishbone2AXI(self.airam, airam)
        self.irq = Signal()
        self.memory_started = Signal()

        # The order is that of PAGE_REGISTERS; a test compares the two.
        self.magic = CSRStatus(32, reset=PAGE_MAGIC)
        self.clock_khz = CSRStatus(32, reset=int(clock) // 1000)
        self.reset = CSRStorage(1)
        self.cycles = CSRStatus(32)
        self.owner = CSR(32)
        self.link_words = CSRStatus(32)
        self.link_sum = CSRStatus(32)
        self.irq_level = CSRStatus(1, name="irq")
        self.dram_mode = CSRStatus(32, reset=dram_mode)
        self.dram_ready = CSR()

        self.comb += self.irq_level.status.eq(self.irq)
        host_started = Signal()
        self.comb += self.dram_ready.w.eq(host_started | self.memory_started)
        self.sync += [
            self.cycles.status.eq(self.cycles.status + 1),
            If(self.dram_ready.re, host_started.eq(self.dram_ready.r)),
        ]

        buses = {"s_axil": self.bridge.axil, "s_axi": airam}
        ports = {"m_axi": parameter_port} | ({"m_mem": row_port} if core.CACHE_LINES else {})
        for name, port in ports.items():
            buses[name] = axi.AXIInterface(data_width=64, address_width=32, id_width=ID_BITS)
            way = ResetInserter()(DramPort(buses[name], port))
            self.comb += way.reset.eq(self.reset.storage)
            self.add_module(f"{name}_port", way)
        pins: dict[str, object] = {}
        for name, bus in buses.items():
            pins |= _pins(name, bus)
        # As text: Migen would give them as few bits as they need, and products of them are as narrow.
        parameters = core.verilog() | {"ID_W": ID_BITS, "MEM_BASE": MAIN_RAM + ROWS_OFFSET}
        self.specials += Instance(
            "kpu_core", **{f"p_{name}": Instance.PreformattedParam(str(value)) for name, value in parameters.items()},
            i_clk=ClockSignal(), i_rst=ResetSignal() | self.reset.storage, o_irq=self.irq, i_m_axis_tready=0, **pins)
        platform.add_verilog_include_path(str(INCLUDE))
        for path in below(["kpu_core"]):
            platform.add_source(str(path))
        self._links: list[wishbone.Interface] = []
        self._lease = int(OWNER_SECONDS * clock)

    def watch(self, link: wishbone.Interface) -> None:
        """Count what a link's master writes, and keep its host's hold of the board while it talks."""
        self._links.append(link)

    def do_finalize(self) -> None:
        """Counters and lease, when all links are known."""
        written, sent, heard = Signal(), Signal(32), Signal()
        for link in self._links:
            done = link.cyc & link.stb & link.ack
            counted = link.we & (link.adr != page_address("owner") >> 2)  # or a host that is refused would disturb
            self.comb += If(done, heard.eq(1), If(counted, written.eq(1), sent.eq((link.adr << 2) + link.dat_w)))
        owner, left = Signal(32), Signal(max=self._lease + 1)
        self.comb += self.owner.w.eq(owner)
        self.sync += [
            If(written, self.link_words.status.eq(self.link_words.status + 1),
               self.link_sum.status.eq(self.link_sum.status + sent)),
            If(heard, left.eq(self._lease)).Elif(left != 0, left.eq(left - 1)).Else(owner.eq(0)),
            If(self.owner.re, If(owner == 0, owner.eq(self.owner.r)).Elif(owner == ~self.owner.r, owner.eq(0))),
        ]


# Channel -> what a master sends and what it gets back; Verilog names are <bus>_<channel><signal>.
_ADDRESS = ("id", "addr", "len", "size", "burst")
_FULL = {"aw": _ADDRESS, "w": ("data", "strb", "last"), "b": ("id", "resp"), "ar": _ADDRESS,
         "r": ("id", "data", "resp", "last")}
_LITE = {"aw": ("addr",), "w": ("data", "strb"), "b": ("resp",), "ar": ("addr",), "r": ("data", "resp")}
_CHANNELS = {"s_axil": _LITE, "s_axi": _FULL, "m_axi": {name: _FULL[name] for name in ("ar", "r")}, "m_mem": _FULL}
_ANSWERS = ("b", "r")
_AIRAM_BITS = 21  # of the core's AI-RAM addresses


def _pins(prefix: str, bus) -> dict[str, object]:
    """Instance arguments of one bus of ``kpu_core``."""
    pins: dict[str, object] = {}
    for channel, signals in _CHANNELS[prefix].items():
        end = getattr(bus, channel)
        outward = prefix.startswith("m_") != (channel in _ANSWERS)
        pins[f"{'o' if outward else 'i'}_{prefix}_{channel}valid"] = end.valid
        pins[f"{'i' if outward else 'o'}_{prefix}_{channel}ready"] = end.ready
        for name in signals:
            signal = getattr(end, name)
            if prefix == "s_axi" and name == "addr":
                signal = signal[:_AIRAM_BITS]
            pins[f"{'o' if outward else 'i'}_{prefix}_{channel}{name}"] = signal
    return pins
