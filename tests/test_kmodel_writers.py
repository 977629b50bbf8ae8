# SPDX-License-Identifier: Apache-2.0
"""Writers against loaders: every file that loads is written again and gives the same model."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from shared_data import SHARED
from synthetic_models import synthetic_models

from openkpu.errors import ModelError
from openkpu.kmodel import load
from openkpu.kmodel.model import Layer, Model, Tensor
from openkpu.kmodel.v3.writer import write as write_v3
from openkpu.kmodel.v4.writer import write as write_v4
from openkpu.kmodel.v5.stackvm import RELEASES
from openkpu.kmodel.v5.writer import Unencodable
from openkpu.kmodel.v5.writer import write as write_v5

HERE = Path(__file__).parent
WRITE = {3: write_v3, 4: write_v4, 5: write_v5}
PLACES = {"offset", "size", "weights_offset", "batch_norm_offset", "activation_offset"}
SYNTHETIC = {name: data for name, data in synthetic_models().items() if name.endswith(".kmodel")}
STORED = sorted((HERE / "data").rglob("*.kmodel"))
STRICT = {"shuffle"}
"""Files that the vendor's runtimes refuse too."""
REAL = sorted([*(SHARED / "kmodels").glob("*.kmodel"), *(SHARED / "cases").rglob("*.kmodel")])


def same_tensor(a: Tensor, b: Tensor, moved: bool) -> bool:
    """Equal but for the pool's name where the host memory is laid out anew, and strides of dimensions of 1."""
    strides = all(n == 1 or s == t for n, s, t in zip(a.shape, a.strides, b.strides, strict=True))
    return (a.dtype, a.shape) == (b.dtype, b.shape) and strides and (
        moved and a.pool != "kpu" or (a.pool, a.offset) == (b.pool, b.offset))


def assert_same_layer(a: Layer, b: Layer, moved: bool) -> None:
    assert type(a) is type(b)
    for name in (f.name for f in fields(a) if f.name not in PLACES):
        x, y = getattr(a, name), getattr(b, name)
        if name == "name" and x == "CALL":  # a copy in front of a call, which becomes a copy of its own
            continue
        if name == "descriptor":
            x, y = (replace(d, bwsx_base_addr=0, active_addr=0, para_start_addr=0) for d in (x, y))
        if isinstance(x, Tensor):
            assert same_tensor(x, y, moved), (name, x, y)
        elif isinstance(x, tuple) and x and isinstance(x[0], Tensor):
            assert all(same_tensor(s, t, moved) for s, t in zip(x, y, strict=True)), name
        elif isinstance(x, np.ndarray):
            assert (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes()), name
        else:
            assert repr(x) == repr(y), name  # repr, because NaN is not equal to itself


def assert_survives(model: Model) -> None:
    moved = model.version == 5
    release = model.operator_table.split(", ")[-1] or None
    options = {"release": release} if moved else {}
    data = WRITE[model.version](model, **options)
    again = load(data, source=model.source, **options)
    assert len(again.layers) == len(model.layers)
    for a, b in zip(model.layers, again.layers, strict=True):
        assert_same_layer(a, b, moved)
    for a, b in zip((*model.inputs, *model.outputs), (*again.inputs, *again.outputs), strict=True):
        assert same_tensor(a.tensor, b.tensor, moved) and a.map_shape == b.map_shape
    assert again.eight_bit == model.eight_bit
    assert WRITE[model.version](again, **options) == data


@pytest.mark.parametrize("name", sorted(SYNTHETIC))
def test_every_operator_survives(name):
    assert_survives(load(SYNTHETIC[name], source=name))


@pytest.mark.parametrize("path", STORED, ids=lambda p: p.stem)
def test_stored_file_survives(path):
    assert_survives(load(path, strict_math=path.stem in STRICT))


@pytest.mark.parametrize("path", REAL, ids=lambda p: p.stem)
def test_real_file_survives(path):
    try:
        model = load(path)
    except ModelError:
        pytest.skip("does not load")
    assert_survives(model)


@pytest.mark.parametrize("path", [p for p in REAL if p.name.startswith("v4_")], ids=lambda p: p.stem)
def test_v4_is_written_as_the_vendor_writes_it(path):
    """Byte for byte, but for the reserved words and the datatype of a concatenation's ranges."""
    data = path.read_bytes()
    model = load(data)
    written = write_v4(model)
    ranges = sum(1 + len(layer.parts) for layer in model.layers if layer.name == "concat")
    differ = sum(a != b for a, b in zip(data, written, strict=False))
    assert differ <= 4 + 4 * len(model.kpu_layers) + ranges and 0 <= len(written) - len(data) < 8


def test_release_without_the_operator_is_refused():
    model = load(SYNTHETIC["v5_SOFTMAX.kmodel"])
    with pytest.raises(Unencodable, match=r"nncase 1.0 has no SOFTMAX"):
        write_v5(model, "1.0")


@pytest.mark.parametrize("release", RELEASES)
def test_code_of_every_release_is_recognised(release):
    model = load(SYNTHETIC["v5_k210.kmodel"])
    assert release in load(write_v5(model, release), release=release).operator_table
