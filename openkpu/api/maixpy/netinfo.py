# SPDX-License-Identifier: Apache-2.0
"""Layer objects of ``KPU.netinfo`` (spec/driver-api.md section 1.10)."""

from __future__ import annotations

from openkpu.kmodel.model import KpuConv, Layer
from openkpu.kmodel.v3.operators import LAYER_TYPES

TYPE_NUMBERS = {name: number for number, name in LAYER_TYPES.items()}

TYPECODES = {
    1: "f", 2: "B", 5: "f", 8: "B", 9: "f", 10: "B", 11: "B", 12: "f", 13: "B", 14: "f", 15: "f", 16: "f", 17: "B",
    18: "f", 19: "B", 20: "f", 21: "B", 22: "f", 23: "B", 24: "f", 25: "f", 10240: "B", 10242: "B",
}
"""Element type by V3 layer type (section 1.7.4); types without one have no map."""

NOT_DUMPED = {10241: "KL_K210_ADD_PADDING", 10243: "KL_K210_UPLOAD"}

_SHAPE = ("wi", "hi", "chi", "wo", "ho", "cho")
_CONVOLUTION = ("dw", "kernel_type", "pool_type")


class _Number(int):
    """An int that may also be called, since the documentation lists the members as attributes and calls them."""

    def __call__(self) -> int:
        return int(self)


class kpu_netinfo_find:
    """One layer; every member works called and uncalled: ``index type wi hi chi wo ho cho dw kernel_type pool_type
    para_size``."""

    index: _Number

    def __init__(self, layer: Layer, *, strict: bool):
        values = dict.fromkeys(("index", "type", *_SHAPE, *_CONVOLUTION, "para_size"), 0)
        values.update(index=layer.index, type=TYPE_NUMBERS[layer.name], para_size=layer.size)
        if isinstance(layer, KpuConv):
            d = layer.descriptor
            values.update(chi=d.i_ch_num, wi=d.i_row_wid, hi=d.i_col_high, cho=d.o_ch_num, wo=d.o_row_wid,
                          ho=d.o_col_high, dw=d.depth_wise_layer, kernel_type=d.kernel_type, pool_type=d.pool_type,
                          para_size=d.para_size)
        elif not strict:
            for suffix, tensors in (("i", layer.inputs), ("o", layer.outputs)):
                shape = tensors[0].shape[-3:] if tensors else ()
                if len(shape) == 3:
                    values.update(zip(("ch" + suffix, "h" + suffix, "w" + suffix), shape, strict=True))
        self._type_name = layer.name
        for name, value in values.items():
            setattr(self, name, _Number(value))

    def __repr__(self) -> str:
        order = ("wi", "hi", "wo", "ho", "chi", "cho", *_CONVOLUTION, "para_size")
        rest = ", ".join(f'"{name}":{getattr(self, name)}' for name in order)
        return f'{{"index":{self.index}, "type":{self._type_name}, {rest}}}'
