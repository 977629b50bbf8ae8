# SPDX-License-Identifier: Apache-2.0
"""Time, memory, pins and the rest of the board (spec/driver-api.md section 3.5)."""

import gc
import io
import sys
import time

import pytest

from openkpu.api import modules
from openkpu.api.board import timing
from openkpu.api.board.board import current_board
from openkpu.api.board.boards import board_info
from openkpu.api.board.standin import NotSimulatedError
from openkpu.api.peripherals import boardutils
from openkpu.api.peripherals.fpioa import FPIOA, fm
from openkpu.api.peripherals.gpio import GPIO


@pytest.fixture
def hands(board, monkeypatch):
    """A board whose clock only moves by ``hands(milliseconds)``."""
    now = [0]
    monkeypatch.setattr(board, "microseconds", lambda: now[0] * 1000)

    def move(milliseconds):
        now[0] += milliseconds
    move.board = board
    return move


# --- time ----------------------------------------


def test_clock_fps_averages_and_resets_after_two_seconds(hands):
    clock = timing.clock()
    clock.tick()
    hands(100)
    assert clock.fps() == 10.0
    clock.tick()
    hands(300)
    assert clock.fps() == 5.0 and clock.avg() == pytest.approx(700 / 3)
    clock.tick()
    hands(2000)
    clock.fps()
    clock.tick()
    hands(50)
    assert clock.fps() == 20.0


def test_clock_without_time_is_infinite(hands):
    clock = timing.clock()
    clock.tick()
    assert clock.fps() == float("inf")


def test_clock_reset(hands):
    clock = timing.clock()
    hands(100)
    clock.avg()
    clock.reset()
    clock.tick()
    hands(10)
    assert clock.avg() == 10.0


def test_ticks(hands):
    hands(1234)
    assert timing.ticks_ms() == timing.ticks() == 1234 and timing.ticks_us() == 1234000
    assert timing.ticks_cpu() == 1234 * 400_000 % (1 << 30)


@pytest.mark.parametrize("a, b, expected", [(5, 3, 2), (3, 5, -2), (2, (1 << 30) - 3, 5), ((1 << 30) - 3, 2, -5)])
def test_ticks_diff_is_centred_modulo_2_30(a, b, expected):
    assert timing.ticks_diff(a, b) == expected
    assert timing.ticks_add(b, expected) == a


def test_chip_clock_counts_cycles_at_400_mhz(make_board):
    board = make_board(clock="chip")
    assert timing.ticks_ms() == 0
    board.count_run(4_000_000)
    assert timing.ticks_ms() == 10 and board.counters.cycles == 4_000_000


def test_sleeps_can_be_skipped(make_board, monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    make_board()
    timing.sleep_ms(30)
    timing.sleep_us(500)
    make_board(sleep=False)
    timing.sleep_ms(1000)
    assert slept == [0.03, 0.0005]


def test_install_extends_time_gc_and_sys(board):
    timing.install()
    assert time.clock().fps and time.ticks_ms() >= 0 and time.time() > 0
    assert gc.mem_free() >= 0 and gc.mem_alloc() >= 0 and gc.threshold(100) == -1
    assert gc.mem_free() + gc.mem_alloc() == 512 << 10
    assert sys.print_exception is timing.print_exception


def test_print_exception(capsys):
    try:
        raise ValueError("something")
    except ValueError as error:
        timing.print_exception(error)
        file = io.StringIO()
        timing.print_exception(error, file)
    assert "ValueError: something" in file.getvalue() and capsys.readouterr().out == file.getvalue()


# --- modules ----------------------------------------


def test_module_names(board):
    found = modules.modules()
    assert {"KPU", "Maix", "maix", "image", "sensor", "lcd", "utime", "uio", "uos", "ujson", "ubinascii", "ustruct",
            "fpioa_manager", "board", "machine"} <= set(found)
    assert found["Maix"].GPIO is found["maix"].GPIO and found["maix"].KPU.__name__ == "KPU"
    assert found["uio"].StringIO is io.StringIO and found["utime"] is time


def test_install_makes_them_importable(board, monkeypatch):
    for name in modules.modules():
        monkeypatch.setitem(sys.modules, name, sys.modules.get(name))
    import openkpu.api
    openkpu.api.install()
    import KPU as kpu
    from Maix import FPIOA, GPIO, utils
    from maix import KPU
    assert kpu.load and KPU.load_kmodel and FPIOA and GPIO and utils


def test_micropython_helpers(board):
    micropython = modules.modules()["micropython"]
    assert micropython.const(5) == 5 and micropython.native(len) is len is micropython.viper(len)


def test_utils(make_board, tmp_path):
    (tmp_path / "data.bin").write_bytes(b"hello")
    make_board(f"{tmp_path}/data.bin@0x1000")
    assert boardutils.utils.flash_read(0x1000, 6) == b"hello\xff"
    boardutils.utils.flash_write(0x1005, b"!")
    assert boardutils.utils.flash_read(0x1000, 7) == b"hello!\xff"
    assert boardutils.utils.heap_free() == 6 << 20 and boardutils.utils.gc_heap_size() == 512 << 10
    assert boardutils.utils.gc_heap_size(1 << 20) == 1 << 20 == current_board().gc_heap_bytes
    with pytest.raises(ValueError):
        boardutils.utils.gc_heap_size(0)


def test_freq_and_config():
    assert boardutils.freq.get() == (400, 400) and boardutils.freq.set(cpu=400, kpu_div=1) is None
    assert boardutils.freq.set_cpu(400) is None and boardutils.freq.set_kpu(400) is None
    assert boardutils.config.get_value("sensor", {"a": 1}) == {"a": 1} and boardutils.config.get_value("x") is None


@pytest.mark.parametrize("module, name", [("machine", "I2C"), ("machine", "SPI"), ("machine", "WDT"),
                                          ("Maix", "I2S"), ("audio", "Audio"), ("network", "ESP32_SPI"),
                                          ("usocket", "socket")])
def test_stand_ins_say_once_what_they_are(board, capsys, module, name):
    part = getattr(modules.modules()[module], name)
    part()
    part()
    err = capsys.readouterr().err
    assert err.count("is a stand-in") == 1 and name in err


@pytest.mark.parametrize("use", ["import lvgl as lv; lv.init()", "from lvgl import btn; btn()",
                                 "import nes; nes.init()", "import KPU; KPU.init_yolo3(1)"])
def test_what_has_no_stand_in_says_so_when_it_is_used(board, monkeypatch, use):
    for name, module in modules.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(NotSimulatedError, match="is not simulated: "):
        exec(use, {})


def test_machine_reset_ends_the_script(board):
    with pytest.raises(SystemExit):
        modules.modules()["machine"].reset()


# --- pins ----------------------------------------


def test_gpio_constants():
    assert {f"GPIOHS{n}" for n in range(32)} | {f"GPIO{n}" for n in range(8)} <= set(dir(GPIO))
    assert GPIO.WAKEUP_NOT_SUPPORT == 0 and len({GPIO.IRQ_RISING, GPIO.IRQ_FALLING, GPIO.IRQ_BOTH}) == 3
    assert fm.fpioa.GPIOHS0 == 24 and fm.fpioa.UART1_TX == 65 and fm.fpioa.I2S0_WS == 89
    assert len({getattr(GPIO, f"GPIOHS{n}") for n in range(32)} | {getattr(GPIO, f"GPIO{n}") for n in range(8)}) == 40
    assert fm.fpioa.GPIOHS0 == GPIO.GPIOHS0 and board_info.BOOT_KEY == 16


def test_idle_input_is_1_and_outputs_remember(board):
    assert GPIO(GPIO.GPIOHS5, GPIO.IN, GPIO.PULL_UP).value() == 1
    led = GPIO(GPIO.GPIO3, GPIO.OUT, value=0)
    assert led.value() == 0 and led.value(1) is None and led.value() == 1
    assert led.mode() == GPIO.OUT and led.mode(GPIO.IN) == GPIO.IN


def test_a_pull_given_as_mode_is_an_input(board):
    assert GPIO(GPIO.GPIOHS0, GPIO.PULL_UP).value() == 1


def test_fpioa(board):
    fpioa = FPIOA()
    fpioa.set_function(16, fpioa.GPIOHS3)
    assert fpioa.get_Pin_num(fpioa.GPIOHS3) == 16
    fm.unregister(16)
    assert fpioa.get_Pin_num(fpioa.GPIOHS3) is None


@pytest.fixture
def key(make_board, monkeypatch):
    """A board with a press of 100 ms at frame 1 and the boot key on GPIOHS0; ``key.move(ms)`` moves the clock."""
    board = make_board(keys=((1, 100),))
    now = [0]
    monkeypatch.setattr(board, "microseconds", lambda: now[0] * 1000)
    fm.register(board_info.BOOT_KEY, fm.fpioa.GPIOHS0, force=True)

    class Key:
        pin = GPIO(GPIO.GPIOHS0, GPIO.IN)

        @staticmethod
        def move(milliseconds):
            now[0] += milliseconds

    Key.board = board
    return Key


def test_key_press_is_low_for_its_time(key):
    key.board.on_snapshot()
    assert key.pin.value() == 1
    key.board.on_snapshot()
    assert key.pin.value() == 0
    key.move(99)
    assert key.pin.value() == 0
    key.move(1)
    assert key.pin.value() == 1


def test_key_press_is_seen_by_a_slow_poll(key):
    key.board.on_snapshot()
    key.board.on_snapshot()
    key.move(5000)
    assert [key.pin.value(), key.pin.value()] == [0, 1]


@pytest.mark.parametrize("trigger, expected", [(GPIO.IRQ_RISING, ["up"]), (GPIO.IRQ_FALLING, ["down"]),
                                               (GPIO.IRQ_BOTH, ["down", "up"])])
def test_key_interrupts(key, trigger, expected):
    seen = []
    key.pin.irq(lambda pin: seen.append("up" if pin.value() else "down"), trigger, GPIO.WAKEUP_NOT_SUPPORT, 7)
    key.board.on_snapshot()
    key.board.on_snapshot()
    key.move(200)
    key.board.on_snapshot()
    assert seen == expected
    key.pin.disirq()


def test_other_pins_do_not_see_the_key(key):
    other = GPIO(GPIO.GPIOHS1, GPIO.IN)
    key.board.on_snapshot()
    key.board.on_snapshot()
    assert other.value() == 1 and key.pin.value() == 0


def test_waiting_for_a_key_that_never_comes_ends(board, monkeypatch):
    monkeypatch.setattr("openkpu.api.board.board.IDLE_POLL_LIMIT", 50)
    pin = GPIO(GPIO.GPIOHS0, GPIO.IN)
    with pytest.raises(SystemExit):
        while pin.value():
            pass
    assert "--key" in board.ended
