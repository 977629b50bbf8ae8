# SPDX-License-Identifier: Apache-2.0
"""The tensor functions of kmodel v5, a module per family (spec/kmodel-format.md 5.7).

A module holds everything about its operators: their classes, their operands in the code and on the stack, the checks
that make a layer of them, and the kernels that execute it.
"""

from ..frame import Function
from . import (
    convolution,
    elementwise,
    indexing,
    movement,
    normalization,
    quantization,
    random,
    recurrent,
    reduction,
    roi,
)

_FAMILIES = (elementwise, convolution, quantization, reduction, normalization, movement, indexing, recurrent, random,
             roi)
FUNCTIONS: dict[str, Function] = {name: found for family in _FAMILIES for name, found in family.FUNCTIONS.items()}
"""Every decodable tensor function by name; CALL is expanded by the loader."""
ENUMERATIONS: dict[str, tuple] = {name: values for family in _FAMILIES
                                  for name, values in getattr(family, "ENUMERATIONS", {}).items()}
"""Names of the enumerators of an operand, in the order of their numbers."""
