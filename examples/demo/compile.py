# SPDX-License-Identifier: Apache-2.0
"""Compile shapes.onnx to a K210 kmodel (version 5) with nncase 1.9; needs CPython 3.10 and requirements-compile.txt.

    python compile.py build/demo/shapes.onnx shapes.kmodel

The kmodel takes raw pixels, uint8 (1, 3, 240, 320) in R, G, B planes, and gives float32 (1, 55, 15, 20).
"""

import argparse
import tempfile
from pathlib import Path

import nncase
import numpy as np
from draw import HEIGHT, WIDTH, scene


def calibration_pictures(count: int) -> np.ndarray:
    """uint8 (count, 3, HEIGHT, WIDTH), from a split that is used for nothing else."""
    return np.stack([np.asarray(scene("calibration", i)[0]).transpose(2, 0, 1) for i in range(count)])


def compile_kmodel(onnx: bytes, pictures: np.ndarray) -> bytes:
    options = nncase.CompileOptions()
    options.target = "k210"
    options.quant_type = "uint8"
    options.w_quant_type = "uint8"
    options.preprocess = True
    options.input_type = "uint8"
    options.input_shape = [1, 3, HEIGHT, WIDTH]
    options.input_layout = "NCHW"
    options.input_range = [0, 255]
    options.mean = [0, 0, 0]
    options.std = [1, 1, 1]
    options.dump_dir = tempfile.gettempdir()  # nncase always leaves a kmodel_info.txt there
    compiler = nncase.Compiler(options)
    compiler.import_onnx(onnx, nncase.ImportOptions())
    ptq = nncase.PTQTensorOptions()
    ptq.calibrate_method = "no_clip"
    ptq.samples_count = len(pictures)
    ptq.set_tensor_data(pictures.tobytes())
    compiler.use_ptq(ptq)
    compiler.compile()
    return compiler.gencode_tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("onnx", type=Path)
    parser.add_argument("kmodel", type=Path)
    parser.add_argument("--pictures", type=int, default=64, help="how many pictures to calibrate the ranges with")
    options = parser.parse_args()
    kmodel = compile_kmodel(options.onnx.read_bytes(), calibration_pictures(options.pictures))
    options.kmodel.write_bytes(kmodel)
    print(f"{options.kmodel}: {len(kmodel)} bytes")


if __name__ == "__main__":
    main()
