# SPDX-License-Identifier: Apache-2.0
"""Compiles an ONNX or TFLite network for the K210 with nncase 1.9 (CPython 3.10), for bench/compile.py.

Usage: python nncase_compile.py NETWORK PICTURES.npy MEAN STD OUT.kmodel; PICTURES is uint8 (N, C, H, W), MEAN and
STD are comma-separated, in codes. Prints JSON: seconds and peak memory.
"""

import json
import resource
import sys
import time
from pathlib import Path

import nncase
import numpy as np

network, pictures, mean, std, out = sys.argv[1:]
samples = np.load(pictures)
planes = network.endswith(".onnx")
if not planes:
    samples = np.ascontiguousarray(samples.transpose(0, 2, 3, 1))
options = nncase.CompileOptions()
options.target = "k210"
options.preprocess = True
options.input_type = "uint8"
options.input_layout = options.output_layout = "NCHW" if planes else "NHWC"
options.input_shape = [1, *samples.shape[1:]]
options.input_range = [0, 255]
options.mean = [float(v) for v in mean.split(",")]
options.std = [float(v) for v in std.split(",")]
begin = time.perf_counter()
compiler = nncase.Compiler(options)
read = compiler.import_onnx if planes else compiler.import_tflite
read(Path(network).read_bytes(), nncase.ImportOptions())
ptq = nncase.PTQTensorOptions()
ptq.samples_count = len(samples)
ptq.set_tensor_data(samples.tobytes())
compiler.use_ptq(ptq)
compiler.compile()
Path(out).write_bytes(compiler.gencode_tobytes())
print(json.dumps({"seconds": time.perf_counter() - begin,
                  "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
