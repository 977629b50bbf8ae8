# SPDX-License-Identifier: Apache-2.0
"""Damaged files of every kind end in a model or in ModelError, in bounded time and memory."""

from __future__ import annotations

import random
import struct
import tracemalloc
from pathlib import Path

import pytest
from synthetic_models import synthetic_models

from openkpu.errors import ModelError
from openkpu.kmodel import load, load_kfpkg, model_size
from tools import fuzz_kmodel as fuzz

SMALL = Path(__file__).parent / "data" / "nncase_small"
SYNTHETIC = synthetic_models()
EVIL = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def survives(data: bytes) -> bool:
    """True if it loads, False if it is refused; any other exception fails the test."""
    try:
        load(data)
    except ModelError:
        return False
    return True


@pytest.mark.parametrize("name", SYNTHETIC)
def test_synthetic_model_loads(name):
    release = "1.8-1.9" if name.startswith("v5") else None
    assert load(SYNTHETIC[name], release=release).layers


@pytest.mark.parametrize("name", SYNTHETIC)
def test_truncated_synthetic_model_is_refused(name):
    data = SYNTHETIC[name]
    # Up to 7 bytes of padding may be missing at the end.
    assert not any(survives(data[:size]) for size in range(0, len(data) - 7, 4))


@pytest.mark.parametrize("name", SYNTHETIC)
def test_evil_words_in_a_synthetic_model_are_survived(name):
    data = SYNTHETIC[name]
    rng = random.Random(name)
    for offset in range(0, min(len(data) - 3, 384), 4):
        for value in rng.sample(EVIL, 2):
            changed = bytearray(data)
            struct.pack_into("<I", changed, offset, value)
            survives(bytes(changed))


@pytest.mark.parametrize("name", ["v3_iris", "v3_ld5", "v4_iris", "v4_mask_detect", "v4_mb-0.25",
 "v5_rand_fullconv_128",
                                  "v5_yolox_nano_224"])
def test_truncated_real_model_is_refused(shared, name):
    data = (shared / "kmodels" / f"{name}.kmodel").read_bytes()
    rng = random.Random(0)
    sizes = range(0, len(data) - 7, 4) if len(data) < 1024 else sorted(rng.sample(range(len(data) - 7), 150))
    assert not any(survives(data[:size]) for size in sizes)


@pytest.mark.parametrize(("name", "words"), [("v3_mnist", 21), ("v4_mask_detect", 28), ("v5_rand_fullconv_128", 60)])
def test_evil_header_words_of_a_real_model_are_survived(shared, name, words):
    data = (shared / "kmodels" / f"{name}.kmodel").read_bytes()
    for offset in range(0, 4 * words, 4):
        for value in EVIL:
            changed = bytearray(data)
            struct.pack_into("<I", changed, offset, value)
            survives(bytes(changed))


def test_cut_package_is_refused(shared):
    data = (shared / "kmodels" / "face_model_at_0x300000.kfpkg").read_bytes()
    for size in random.Random(1).sample(range(len(data)), 40):
        with pytest.raises(ModelError):
            load_kfpkg(data[:size])


@pytest.mark.parametrize("version", ["v3", "v4", "v5", "kfpkg"])
def test_mutants_load_or_are_refused_within_their_bounds(version):
    files = [data for name, data in SYNTHETIC.items() if version in name]
    if version == "v5":
        files += [p.read_bytes() for p in sorted(SMALL.glob("*.kmodel"))[::10] if p.stat().st_size < 100_000]
    tracemalloc.start()
    try:
        report = fuzz.run(files, 400, seed=20, memory=16 << 20)
    finally:
        tracemalloc.stop()
    assert report.failures == [] and report.count == 400 and report.refused > 100
    assert version == "kfpkg" or report.loaded > 20


def test_mutants_that_load_run_or_are_refused():
    report = fuzz.run(list(SYNTHETIC.values()), 300, seed=40, steps=1_000_000)
    assert report.failures == [] and report.ran > 50


def test_fuzzer_reports_what_is_not_documented(monkeypatch):
    monkeypatch.setattr(fuzz, "load", lambda data, source: {}[source])
    report = fuzz.run([SYNTHETIC["v3_conv.kmodel"]], 3, seed=5)
    assert [f[0] for f in report.failures] == [5, 6, 7] and "KeyError" in report.failures[0][1]


def test_fuzzer_reports_a_load_that_is_too_slow():
    assert "took" in fuzz.run([SYNTHETIC["v3_conv.kmodel"]], 1, seed=0, seconds=-1).failures[0][1]


def test_mutants_are_made_again_from_their_seed():
    files = list(SYNTHETIC.values())
    assert fuzz.mutant(files, 77) == fuzz.mutant(files, 77) != fuzz.mutant(files, 78)


def test_command_reports_counts(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(fuzz, "limit_memory", lambda extra: None)  # it would last for the whole test process
    (tmp_path / "a.kmodel").write_bytes(SYNTHETIC["v4_conv.kmodel"])
    assert fuzz.main([str(tmp_path), "--count", "50"]) == 0
    assert "1 files, 50 mutants: " in capsys.readouterr().out


def test_random_bytes_are_refused():
    rng = random.Random(3)
    for _ in range(300):
        start = rng.choice((b"LDMK\4\0\0\0", b"LDMK\5\0\0\0\x20\0\0\0", b"\3\0\0\0\1\0\0\0\0\0\0\0"))
        data = start + rng.randbytes(200)
        with pytest.raises(ModelError):
            load(data)
        try:
            assert model_size(data) > 0
        except ModelError:
            pass
