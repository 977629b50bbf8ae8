"""What the benchmarks run their models on."""

from __future__ import annotations

import numpy as np

from openkpu.kmodel.model import Model


def random_inputs(model: Model) -> list[np.ndarray]:
    """A random 8-bit code for every element of every input, always the same ones."""
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, spec.shape).astype(spec.dtype) for spec in model.inputs]
