# SPDX-License-Identifier: Apache-2.0
"""Exceptions of the package and the exit codes the command line gives for them.

Every message is one sentence that names the file, the field and the fix.
"""

from __future__ import annotations


class OpenKPUError(Exception):
    """Base of every error that the package raises on purpose."""

    exit_code = 5


class UsageError(OpenKPUError):
    """The caller asked for something that does not exist (option, layer number, back end)."""

    exit_code = 2


class ModelError(OpenKPUError):
    """A model file (kmodel, kfpkg, flash image) is damaged, unsupported or not a model.

    Attributes
    ----------
    source : str
        File name or flash address the bytes came from ("" if unknown).
    version : str
        Format found, for instance "kmodel v4" ("" if not recognised).
    offset : int or None
        Byte offset of the offending field.
    field : str
        Name of the offending field.
    """

    exit_code = 3

    def __init__(self, message: str, *, source: str = "", version: str = "",
                 offset: int | None = None, field: str = ""):
        super().__init__(message)
        self.source = source
        self.version = version
        self.offset = offset
        self.field = field


class InputError(OpenKPUError):
    """An input (picture, array, list) does not suit the model."""

    exit_code = 4


class DeviceError(OpenKPUError):
    """The KPU or its simulation failed: time-out, error status, missing simulator, build failure."""

    exit_code = 5


class CapacityError(DeviceError):
    """A layer or model does not fit the configuration of the device."""
