# SPDX-License-Identifier: Apache-2.0
"""Kmodels in nncase 1.9's own simulator (PyPI, CPython 3.10): an independent witness for written files.

Usage: python nncase_simulator.py FOLDER, with requirements-nncase.txt installed. For every NAME.kmodel with NAME.npz
(inputs x0, x1, ...) it writes NAME.out.npz (outputs y0, ...), or NAME.refused with the reason.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nncase
import numpy as np


def simulate(kmodel: bytes, inputs: list[np.ndarray]) -> list[np.ndarray]:
    simulator = nncase.Simulator()
    simulator.load_model(kmodel)
    for i, array in enumerate(inputs):
        simulator.set_input_tensor(i, nncase.RuntimeTensor.from_numpy(array))
    simulator.run()
    return [simulator.get_output_tensor(i).to_numpy() for i in range(simulator.outputs_size)]


for path in sorted(Path(sys.argv[1]).glob("*.kmodel")):
    given = np.load(path.with_suffix(".npz"))
    try:
        found = simulate(path.read_bytes(), [given[f"x{i}"] for i in range(len(given.files))])
        np.savez(path.with_suffix(".out.npz"), **{f"y{i}": y for i, y in enumerate(found)})
    except Exception as error:
        path.with_suffix(".refused").write_text(f"{type(error).__name__}: {error}")
