# SPDX-License-Identifier: Apache-2.0
"""Run a kmodel on held-out pictures in nncase's own simulator, as the reference to compare OpenKPU with.

    python simulate.py shapes.kmodel --count 500 --out build/demo/nncase_outputs.npy

Needs CPython 3.10 and requirements-compile.txt. Writes float32 (count, channels, grid height, grid width).
"""

import argparse
from pathlib import Path

import nncase
import numpy as np
from draw import scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kmodel", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    simulator = nncase.Simulator()
    simulator.load_model(options.kmodel.read_bytes())
    outputs = []
    for index in range(options.count):
        pixels = np.ascontiguousarray(np.asarray(scene("heldout", index)[0]).transpose(2, 0, 1)[None])
        simulator.set_input_tensor(0, nncase.RuntimeTensor.from_numpy(pixels))
        simulator.run()
        outputs.append(simulator.get_output_tensor(0).to_numpy()[0].copy())
    np.save(options.out, np.stack(outputs))


if __name__ == "__main__":
    main()
