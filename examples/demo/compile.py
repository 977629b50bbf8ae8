# SPDX-License-Identifier: Apache-2.0
"""Compile shapes.onnx to shapes.kmodel (version 5) and shapes_v3.kmodel (version 3, what MaixPy's KPU module loads).

    python examples/demo/compile.py            # needs openkpu[compile]; half a minute

The kmodels take raw pixels, uint8 (1, 3, 240, 320) in R, G, B planes, and give float32 (1, 55, 15, 20).
"""

import argparse
import os
from pathlib import Path

# One instruction set for matrix products: the same bytes on every machine that has it.
os.environ["OPENBLAS_CORETYPE"] = "Haswell"

import numpy as np
from draw import scene

from openkpu.compiler import compile_network
from openkpu.compiler.backend import compile_program

HERE = Path(__file__).parent
PICTURES = 32
"""To calibrate with, from a split that is used for nothing else."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", type=Path, default=HERE / "shapes.onnx")
    parser.add_argument("--folder", type=Path, default=HERE, help="where the kmodels go")
    options = parser.parse_args()
    pictures = [np.asarray(scene("calibration", i)[0]).transpose(2, 0, 1)[None] for i in range(PICTURES)]
    program = compile_network(options.network, pictures).program
    for version, name in (("v5", "shapes.kmodel"), ("v3", "shapes_v3.kmodel")):
        data = compile_program(program, version, source=options.network.name).data
        (options.folder / name).write_bytes(data)
        print(f"{options.folder / name}: {len(data):,} bytes, {version}")


if __name__ == "__main__":
    main()
