# SPDX-License-Identifier: Apache-2.0
"""The float network beside the kmodel."""

from __future__ import annotations

import numpy as np

from ..compiler import Preprocess
from ..errors import InputError
from .extra import needed
from .job import Job


class Reference:
    """An ONNX network in onnxruntime, on one core; InputError if it cannot be read."""

    def __init__(self, job: Job):
        runtime = needed("onnxruntime", "--reference")
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = runtime.InferenceSession(job.reference, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise InputError(f"--reference: onnxruntime cannot read the network ({str(error).splitlines()[0]}); export "
                             "it again") from error
        self._preprocess = Preprocess(job.scale, job.mean, job.std, job.bgr)

    def run(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """The outputs for the kmodel's inputs: raw codes are preprocessed, floats are taken as they are."""
        feeds = {}
        for given, array in zip(self._session.get_inputs(), arrays, strict=False):
            value = self._preprocess.apply(array) if array.dtype == np.uint8 and array.ndim == 4 \
                else array.astype(np.float32)
            feeds[given.name] = value
        try:
            return [np.asarray(output) for output in self._session.run(None, feeds)]
        except Exception as error:
            raise InputError(f"--reference: onnxruntime cannot run the network on the model's input "
                             f"({str(error).splitlines()[0]})") from error
