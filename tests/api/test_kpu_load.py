# SPDX-License-Identifier: Apache-2.0
"""``KPU.load``, ``load_flash``, ``deinit``, ``memtest``, lifetime, error model (spec sections 1.1-1.3, 1.12, 1.15)."""

import gc
import json
import re
import struct
import zipfile

import numpy as np
import pytest

from openkpu.api import errors
from openkpu.api.errors import KPUArgumentError, KPULoadError, KPURunError
from openkpu.api.maixpy import kpu
from openkpu.api.modules import modules

from .conftest import ANCHORS, demo_image, shared_file

HEADER = struct.Struct("<7I")


@pytest.fixture
def flashed(make_board, demo_v3):
    """A board with the demo model at 0x300000."""
    return make_board(f"{demo_v3}@0x300000")


def swapped(data):
    return np.frombuffer(data + b"0" * (-len(data) % 4), "<u4").byteswap().tobytes()


def refused(code, call):
    """The exception of a load that must fail with ``code``."""
    with pytest.raises(KPULoadError) as caught:
        call()
    assert caught.value.code == code and caught.value.name == errors.CODES[code][0]
    return caught.value


# --- module ----------------------------------------


def test_module_is_called_kpu_and_has_exactly_the_firmwares_names():
    module = modules()["KPU"]
    assert module.__name__ == "kpu"
    assert {n for n in dir(module) if not n.startswith("_")} == {
        "load", "load_flash", "init_yolo2", "run_yolo2", "init_yolo3", "run_yolo3", "forward",
        "fmap", "fmap_free", "netinfo", "set_outputs",
        "memtest", "face_encode", "face_compare", "deinit", "set_layers", "get_output", "classifier"}


@pytest.mark.parametrize("code, name, text", [
    (2001, "PARAM", "ERR_PARAM: please check param, load address or kmodel file name"),
    (2002, "KMODEL_VERSION", "ERR_KMODEL_VERSION: only support kmodel V3/V4 now"),
    (2003, "KMODEL_FORMAT", "ERR_KMODEL_FORMAT: layer_header.body_size <=0"),
    (2004, "DECRYPT", "ERR_DECRYPT: check smodel match with your board"),
    (2005, "READ_FILE", "ERR_READ_FILE: read file failed"),
    (2006, "NO_MEM", "ERR_NO_MEM: memory not enough"),
    (2007, "GET_CONV_LAYER", "ERR_GET_CONV_LAYER: first layer should be conv layer"),
    (2008, "RUN_MODEL", "ERR_RUN_MODEL: maybe model dirty"),
    (2009, "MODELS_FULL", "ERR_MODELS_FULL: we only support load 5 models in the same time"),
    (2010, "PERMITION", "ERR_PERMITION"),
    (2011, "IDX_OUTRANGE", "SIPEED_KPU_ERR_IDX_OUTRANGE"),
    (2012, "SIZE_NOTMATCH", "SIPEED_KPU_ERR_SIZE_NOTMATCH"),
    (2013, "OUTPUTS_NODONE", "ERR_OUTPUTS_SET: need kpu.set_outputs() to set shape"),
    (2014, "NOT_IMPLEMENT", "ERR_NOT_IMPLEMENT"),
    (2015, "UNKNOWN", "ERR_UNKNOWN"),
])
def test_error_codes(code, name, text):
    assert errors.CODES[code] == (name, text)


@pytest.mark.parametrize("cls, bases", [(KPULoadError, (ValueError,)), (KPURunError, (OSError,)),
                                        (errors.KPUImageError, (ValueError,)),
                                        (KPUArgumentError, (ValueError, TypeError))])
def test_exceptions_are_what_old_scripts_catch(cls, bases):
    assert all(issubclass(cls, base) for base in bases)


# --- load ----------------------------------------


def test_load_from_flash(flashed, demo_v3):
    net = kpu.load(0x300000)
    assert (net.model_addr(), net.model_path(), net.net_arg()) == (0x300000, None, None)
    assert net.model_size() == demo_v3.stat().st_size


def test_load_from_a_file(board, demo_v3, tmp_path):
    (tmp_path / "m.kmodel").write_bytes(demo_v3.read_bytes())
    net = kpu.load("/sd/m.kmodel")
    assert (net.model_addr(), net.model_path()) == (None, "/sd/m.kmodel")
    assert net.model_size() == demo_v3.stat().st_size


def test_load_takes_the_documented_names(flashed, demo_v3):
    assert kpu.load(offset=0x300000).model_addr() == 0x300000
    assert kpu.load(file_path=str(demo_v3)).model_path() == str(demo_v3)


@pytest.mark.parametrize("call", [lambda: kpu.load(), lambda: kpu.load(offset=1, file_path="a.kmodel"),
                                  lambda: kpu.load(0x300000, offset=0x300000)])
def test_load_takes_exactly_one_source(flashed, call):
    with pytest.raises(TypeError, match="exactly one"):
        call()


def test_load_ignores_further_positionals_as_the_firmware_does(flashed):
    assert kpu.load(0x300000, "ignored").model_addr() == 0x300000


@pytest.mark.parametrize("value", [1.5, True, b"x.kmodel", [1]])
def test_load_of_another_type(board, value):
    with pytest.raises(TypeError, match=r"^\[MAIXPY\]kpu: only accept int or string"):
        kpu.load(value)


def test_load_accepts_any_index(flashed):
    assert kpu.load(np.int64(0x300000)).model_addr() == 0x300000


@pytest.mark.parametrize("address", [0, -1])
def test_load_address_must_be_positive(board, address):
    assert str(refused(2001, lambda: kpu.load(address))).startswith("[MAIXPY]kpu: model_addr must > 0 ")


def test_load_address_behind_the_flash(flashed):
    error = refused(2001, lambda: kpu.load(0x2000000))
    assert str(error).startswith("[MAIXPY]kpu: load error:2001, ERR_PARAM: please check param")
    assert "0x300000" in error.hint


def test_load_path_must_contain_an_extension(board):
    error = refused(2001, lambda: kpu.load("/sd/model.bin"))
    assert str(error).startswith("[MAIXPY]kpu: model format don't match, only supply .kmodel ")


def test_load_extension_may_be_anywhere(board, demo_v3, tmp_path):
    (tmp_path / "m.kmodel.old").write_bytes(demo_v3.read_bytes())
    assert kpu.load("/sd/m.kmodel.old").model_size()


def test_load_of_a_missing_file(board):
    error = refused(2005, lambda: kpu.load("/sd/nothing.kmodel"))
    assert "[MAIXPY]kpu: load error:2005, ERR_READ_FILE: read file failed -- " in str(error)
    assert "/sd/nothing.kmodel" in error.hint and error.source == "/sd/nothing.kmodel"


def test_load_of_erased_flash_lists_where_models_are(flashed):
    error = refused(2002, lambda: kpu.load(0x200000))
    assert str(error).startswith("[MAIXPY]kpu: load error:2002, ERR_KMODEL_VERSION")
    assert "nothing is burnt at flash address 0x200000" in error.hint and "0x300000 (kmodel v3" in error.hint


def test_load_of_zeros_in_flash(make_board, tmp_path):
    (tmp_path / "zero.bin").write_bytes(bytes(4096))
    make_board(f"{tmp_path}/zero.bin@0x300000")
    assert "nothing is burnt" in refused(2002, lambda: kpu.load(0x300000)).hint


def test_load_of_erased_flash_without_any_model(board):
    assert "no model at all" in refused(2002, lambda: kpu.load(0x300000)).hint


def write(tmp_path, data, name="m.kmodel"):
    (tmp_path / name).write_bytes(data)
    return f"/sd/{name}"


def test_load_of_a_byte_swapped_model_points_to_load_flash(board, demo_v3, tmp_path):
    path = write(tmp_path, swapped(demo_v3.read_bytes()))
    hint = refused(2002, lambda: kpu.load(path)).hint
    assert "load_flash" in hint and "reversed" in hint


def test_load_of_a_v5_model_names_versions_and_makers(board, demo_v5):
    hint = refused(2002, lambda: kpu.load(str(demo_v5))).hint
    for part in ("v5", "V3/V4", "nncase 0.1.x makes V3", "0.2.x makes V4", "1.x makes V5"):
        assert part in hint


def test_load_of_a_later_version(board, tmp_path):
    path = write(tmp_path, b"LDMK" + struct.pack("<6I", 6, 0, 0, 0, 0, 0) + bytes(40))
    assert "v6" in refused(2002, lambda: kpu.load(path)).hint


def test_load_of_a_kfpkg_says_burn_or_extract(board, demo_v3, tmp_path):
    with zipfile.ZipFile(tmp_path / "m.kmodel", "w") as package:
        package.writestr("flash-list.json", "{}")
    hint = refused(2002, lambda: kpu.load("/sd/m.kmodel")).hint
    assert "kfpkg" in hint and "burn" in hint and "extract" in hint


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html><body>404</body></html>", b"404: not found\n" * 3])
def test_load_of_a_download_error_page(board, tmp_path, content):
    path = write(tmp_path, content)
    assert "download" in refused(2002, lambda: kpu.load(path)).hint


def test_load_of_a_truncated_model_gives_both_sizes(board, demo_v3, tmp_path):
    data = demo_v3.read_bytes()
    path = write(tmp_path, data[:50000])
    hint = refused(2005, lambda: kpu.load(path)).hint
    assert str(len(data)) in hint and "50000" in hint


@pytest.mark.parametrize("name", ["m.smodel", "m.emodel"])
def test_load_of_an_encrypted_model(board, tmp_path, name):
    path = write(tmp_path, np.random.default_rng(0).bytes(4096), name)
    assert "encrypted" in refused(2004, lambda: kpu.load(path)).hint


def test_load_of_a_model_with_an_empty_layer(board, tmp_path):
    path = write(tmp_path, HEADER.pack(3, 1, 0, 1, 0, 64, 1) + struct.pack("<4I", 0, 16, 12, 0))
    error = refused(2003, lambda: kpu.load(path))
    assert "layer_header.body_size <=0" in str(error) and "layer 0" in error.hint


def test_load_of_another_architecture(board, demo_v3, tmp_path):
    data = bytearray(demo_v3.read_bytes())
    data[8] = 1
    assert "arch" in refused(2015, lambda: kpu.load(write(tmp_path, data))).hint


def test_load_of_noise(board, tmp_path):
    path = write(tmp_path, np.random.default_rng(0).bytes(4096))
    assert refused(2002, lambda: kpu.load(path)).hint


def test_load_of_an_empty_file(board, tmp_path):
    assert "empty" in refused(2005, lambda: kpu.load(write(tmp_path, b""))).hint


def test_load_of_damaged_layers_names_the_layer(board, demo_v3, tmp_path):
    data = bytearray(demo_v3.read_bytes())
    data[36] = 99
    error = refused(2015, lambda: kpu.load(write(tmp_path, data)))
    assert "layer 0" in error.hint


def test_load_without_memory_gives_the_figures(board, demo_v3):
    board.system_heap_bytes = 100_000
    hint = refused(2006, lambda: kpu.load(str(demo_v3))).hint
    assert str(demo_v3.stat().st_size) in hint and "100000" in hint


def test_trailing_bytes_are_tolerated_with_a_warning(board, demo_v3, tmp_path, capsys):
    path = write(tmp_path, demo_v3.read_bytes() + bytes(8))
    assert kpu.load(path).model_size() == demo_v3.stat().st_size
    assert "8 bytes behind the model" in capsys.readouterr().err


def test_flash_model_size_is_computed_not_given(make_board, demo_v3):
    make_board(f"{demo_v3}@0x300000", f"{demo_v3}@0x400000")
    assert kpu.load(0x300000).model_size() == demo_v3.stat().st_size


def test_a_sixth_model_is_fine_in_friendly_mode(board, demo_v3):
    nets = [kpu.load(str(demo_v3)) for _ in range(6)]
    assert len({id(n) for n in nets}) == 6


def test_a_sixth_model_is_2009_in_strict_mode(strict_board, demo_v3):
    nets = [kpu.load(str(demo_v3)) for _ in range(5)]
    refused(2009, lambda: kpu.load(str(demo_v3)))
    kpu.deinit(nets[0])
    assert kpu.load(str(demo_v3))


# --- kpu_net ----------------------------------------


def test_kpu_net_printed_form(flashed, demo_v3):
    net, size = kpu.load(0x300000), demo_v3.stat().st_size
    text = f'{{"model_addr": 3145728, "model_size": {size}, "model_path": "(null)", "net_args": "(null)"}}'
    assert repr(net) == str(net) == text and type(net).__name__ == "kpu_net"
    other = kpu.load(str(demo_v3))
    assert repr(other) == f'{{"model_addr": 0, "model_size": {size}, "model_path": "{demo_v3}", "net_args": "(null)"}}'


def test_kpu_net_printed_form_with_yolo(flashed):
    net = kpu.load(0x300000)
    kpu.init_yolo2(net, 0.5, 0.3, 5, ANCHORS)
    assert repr(net).endswith(f'"net_args": {net.net_arg()!r}}}')


def test_kpu_net_is_a_context_manager(flashed):
    with kpu.load(0x300000) as net:
        assert net.model_size()
    with pytest.raises(KPUArgumentError, match="released"):
        kpu.netinfo(net)


# --- load_flash ----------------------------------------


@pytest.fixture
def streamed(make_board, demo_v3, tmp_path):
    (tmp_path / "be.bin").write_bytes(swapped(demo_v3.read_bytes()))
    return make_board(f"{tmp_path}/be.bin@0x600000", f"{demo_v3}@0x300000")


@pytest.mark.parametrize("dual, batch", [(1, 0xC000), (0, 0)])
def test_load_flash_runs_as_load_does(streamed, dual, batch, capsys):
    net = kpu.load_flash(0x600000, dual, batch, 60000000)
    assert capsys.readouterr().out == "SPI freq 60000000 Hz\n"
    assert (net.model_addr(), net.model_path()) == (0x600000, None)
    reference = kpu.load(0x300000)
    img = demo_image()
    assert kpu.forward(net, img)[:] == kpu.forward(reference, img)[:]


def test_load_flash_of_a_package_that_asks_for_reversed_words(make_board, demo_v3, tmp_path):
    with zipfile.ZipFile(tmp_path / "p.kfpkg", "w") as archive:
        archive.writestr("flash-list.json", json.dumps({"version": "0.1.1", "files": [
            {"address": 0x600000, "bin": "m.kmodel", "sha256Prefix": False, "reverse4Bytes": True}]}))
        archive.write(demo_v3, "m.kmodel")
    make_board(f"{tmp_path}/p.kfpkg", f"{demo_v3}@0x300000")
    img = demo_image()
    assert (kpu.forward(kpu.load_flash(0x600000, 1, 0xC000, 60000000), img)[:]
            == kpu.forward(kpu.load(0x300000), img)[:])


def test_load_flash_holds_less_memory_than_load(streamed):
    before = streamed.held_bytes()
    kpu.load(0x300000)
    with kpu.load_flash(0x600000, 1, 0x4000, 60000000):
        small = streamed.held_bytes() - before
    with kpu.load(0x300000):
        assert small < streamed.held_bytes() - before


def test_load_flash_of_an_ordinary_model_says_use_load(streamed):
    error = refused(2002, lambda: kpu.load_flash(0x300000, 1, 0xC000, 60000000))
    assert str(error).startswith("[MAIXPY]kpu: load_flash error:2002, ") and "use load(0x300000)" in error.hint


def test_load_flash_needs_four_arguments(streamed):
    with pytest.raises(TypeError):
        kpu.load_flash(0x600000, 1, 0xC000)


@pytest.mark.parametrize("arguments", [("x", 1, 2, 3), (1, 1.0, 2, 3), (1, 1, None, 3), (1, 1, 2, "80M")])
def test_load_flash_types(streamed, arguments):
    text = ("[MAIXPY]kpu: load_flash arg format error: task=kpu.load_flash(flash_addr, is_dual_buf, batch_size, "
            "spi_speed)")
    with pytest.raises(ValueError, match=re.escape(text)):
        kpu.load_flash(*arguments)


def test_load_flash_address_must_be_positive(streamed):
    assert "model_addr must > 0" in str(refused(2001, lambda: kpu.load_flash(0, 1, 0xC000, 60000000)))


@pytest.mark.parametrize("arguments, name", [((2, 0xC000, 60000000), "is_dual_buf"), ((1, 0, 60000000), "batch_size"),
                                             ((1, 0xC000, 80000001), "spi_speed"), ((1, 0xC000, 0), "spi_speed")])
def test_load_flash_limits(streamed, arguments, name):
    with pytest.raises(KPUArgumentError) as caught:
        kpu.load_flash(0x600000, *arguments)
    assert caught.value.argument == name and caught.value.hint


def test_load_flash_strict_accepts_any_tuning(make_board, demo_v3, tmp_path):
    (tmp_path / "be.bin").write_bytes(swapped(demo_v3.read_bytes()))
    make_board(f"{tmp_path}/be.bin@0x600000", compat="strict")
    assert kpu.load_flash(0x600000, 2, 0, 100000000).model_addr() == 0x600000


def test_vendor_byte_swapped_package(make_board):
    make_board(shared_file("kmodels/face_model_be_at_0x600000.kfpkg"))
    net = kpu.load_flash(0x600000, 1, 0xC000, 60000000)
    assert net.model_size() == 388776


# --- deinit, memtest, lifetime ----------------------------------------


def heap(capsys):
    """The two figures of memtest, KB."""
    gc.collect()
    capsys.readouterr()
    assert kpu.memtest() is None
    match = re.fullmatch(r"###free gc heap memory : (\d+) KB\r\n###free sys heap memory: (\d+) KB\r\n",
                         capsys.readouterr().out)
    return int(match[1]), int(match[2])


def test_memtest_prints_two_lines_with_the_documented_budgets(board, capsys):
    assert heap(capsys) == (512, 6 * 1024)


def test_memtest_falls_on_load_and_recovers_on_deinit_and_del(flashed, capsys):
    _, start = heap(capsys)
    net = kpu.load(0x300000)
    used = net.model_size() + net._network.model.main_memory
    assert heap(capsys)[1] == (6 * 1024 * 1024 - used) // 1024 < start
    kpu.deinit(net)
    assert heap(capsys)[1] == start
    net = kpu.load(0x300000)
    del net
    assert heap(capsys)[1] == start


def test_documented_deinit_snippets_free_everything(flashed, capsys):
    start = heap(capsys)
    task = kpu.load(0x300000)
    kpu.deinit(task)
    del task
    gc.collect()
    task = kpu.load(0x300000)
    del task
    gc.collect()
    assert heap(capsys) == start and not flashed.nets


def test_deinit_returns_true_also_the_second_time(flashed):
    net = kpu.load(0x300000)
    kpu.init_yolo2(net, 0.5, 0.3, 5, ANCHORS)
    assert kpu.deinit(net) is True and kpu.deinit(net) is True
    assert net.net_arg() is None


@pytest.mark.parametrize("value", [None, 5, "net"])
def test_deinit_of_another_type(board, value):
    with pytest.raises(TypeError, match=r"^\[MAIXPY\]kpu: kpu_net type error"):
        kpu.deinit(value)


@pytest.mark.parametrize("use", [
    lambda n: kpu.init_yolo2(n, 0.5, 0.3, 5, ANCHORS), lambda n: kpu.run_yolo2(n, demo_image()),
    lambda n: kpu.forward(n, demo_image()), lambda n: kpu.netinfo(n), lambda n: kpu.set_layers(n, 1),
    lambda n: kpu.set_outputs(n, 0, 1, 1, 1), lambda n: kpu.get_output(n, 0),
])
def test_a_net_used_after_deinit_says_so(flashed, use):
    net = kpu.load(0x300000)
    kpu.deinit(net)
    with pytest.raises(KPUArgumentError, match="model was released"):
        use(net)


def test_fmaps_outlive_their_net(flashed):
    net = kpu.load(0x300000)
    fmap = kpu.forward(net, demo_image(), 2)
    values = fmap[:100]
    kpu.deinit(net)
    assert fmap[:100] == values


def test_closing_in_any_order_leaks_nothing(make_board, demo_v3, capsys):
    board = make_board(f"{demo_v3}@0x300000")
    start = heap(capsys)
    nets = [kpu.load(0x300000) for _ in range(4)]
    maps = [kpu.forward(net, demo_image(), 1) for net in nets]
    kpu.deinit(nets[2])
    del nets[0]
    kpu.fmap_free(maps[3])
    nets.append(kpu.load(0x300000))
    assert kpu.forward(nets[-1], demo_image(), 1)[:50] == maps[0][:50]
    board.close()
    with pytest.raises(KPUArgumentError, match="released"):
        kpu.netinfo(nets[-1])
    nets.clear()
    assert heap(capsys) == start and not board.nets
    assert board.close() is None


def test_a_failed_load_leaves_nothing_behind(flashed, capsys):
    start = heap(capsys)
    for _ in range(3):
        refused(2002, lambda: kpu.load(0x200000))
    gc.collect()
    assert heap(capsys) == start


def test_strict_finaliser_prints_its_line(make_board, demo_v3, capsys):
    make_board(f"{demo_v3}@0x300000", compat="strict")
    net = kpu.load(0x300000)
    capsys.readouterr()
    del net
    gc.collect()
    assert capsys.readouterr().out == "kpu_net __del__\r\n"


def test_friendly_finaliser_is_silent(flashed, capsys):
    net = kpu.load(0x300000)
    del net
    assert capsys.readouterr().out == ""
