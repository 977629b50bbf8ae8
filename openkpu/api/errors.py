# SPDX-License-Identifier: Apache-2.0
"""Exceptions of the two KPU APIs (spec/driver-api.md section 1.1).

Each is a subclass of what the firmware raises, so that ``except ValueError`` and ``except OSError`` in old scripts
still work. The message begins with the firmware's text; a hint that names cause and fix follows after `` -- ``.
"""

from __future__ import annotations

CODES = {
    2001: ("PARAM", "ERR_PARAM: please check param, load address or kmodel file name"),
    2002: ("KMODEL_VERSION", "ERR_KMODEL_VERSION: only support kmodel V3/V4 now"),
    2003: ("KMODEL_FORMAT", "ERR_KMODEL_FORMAT: layer_header.body_size <=0"),
    2004: ("DECRYPT", "ERR_DECRYPT: check smodel match with your board"),
    2005: ("READ_FILE", "ERR_READ_FILE: read file failed"),
    2006: ("NO_MEM", "ERR_NO_MEM: memory not enough"),
    2007: ("GET_CONV_LAYER", "ERR_GET_CONV_LAYER: first layer should be conv layer"),
    2008: ("RUN_MODEL", "ERR_RUN_MODEL: maybe model dirty"),
    2009: ("MODELS_FULL", "ERR_MODELS_FULL: we only support load 5 models in the same time"),
    2010: ("PERMITION", "ERR_PERMITION"),
    2011: ("IDX_OUTRANGE", "SIPEED_KPU_ERR_IDX_OUTRANGE"),
    2012: ("SIZE_NOTMATCH", "SIPEED_KPU_ERR_SIZE_NOTMATCH"),
    2013: ("OUTPUTS_NODONE", "ERR_OUTPUTS_SET: need kpu.set_outputs() to set shape"),
    2014: ("NOT_IMPLEMENT", "ERR_NOT_IMPLEMENT"),
    2015: ("UNKNOWN", "ERR_UNKNOWN"),
}
"""Number -> (name, text), section 1.1.1."""


def with_hint(text: str, hint: str) -> str:
    """Firmware text, then the hint; a single line unless the firmware's own text ends one."""
    return f"{text} -- {hint}" if hint else text


class KPULoadError(ValueError):
    """A model could not be loaded.

    Attributes
    ----------
    code : int
        2001...2015.
    name : str
        Such as "KMODEL_VERSION".
    source : int or str
        Flash address or path.
    hint : str
        Cause and fix.
    """

    def __init__(self, message: str, *, code: int, source: int | str = "", hint: str = ""):
        super().__init__(with_hint(message, hint))
        self.code, self.name, self.source, self.hint = code, CODES[code][0], source, hint


class KPURunError(OSError):
    """An inference or the fetching of its result failed. Attributes as ``KPULoadError``."""

    def __init__(self, message: str, *, code: int = 2008, source: int | str = "", hint: str = ""):
        super().__init__(with_hint(message, hint))
        self.code, self.name, self.source, self.hint = code, CODES[code][0], source, hint


class KPUModelError(KPULoadError, OSError):
    """A model could not be loaded through ``maix.KPU``, whose firmware raises ``OSError``."""


class KPUImageError(ValueError):
    """The picture does not suit the model.

    Attributes
    ----------
    expected, got : (width, height, channels)
    hint : str
    """

    def __init__(self, message: str, *, expected: tuple[int, int, int], got: tuple[int, int, int], hint: str = ""):
        super().__init__(with_hint(message, hint))
        self.expected, self.got, self.hint = expected, got, hint


class KPUImageOSError(KPUImageError, OSError):
    """As ``KPUImageError`` where ``maix.KPU``'s firmware raises ``OSError``."""


class KPUArgumentError(ValueError, TypeError):
    """An argument is wrong, or a call comes at the wrong time.

    Attributes
    ----------
    argument : str
        Name of the argument.
    hint : str
    """

    def __init__(self, message: str, *, argument: str = "", hint: str = ""):
        super().__init__(with_hint(message, hint))
        self.argument, self.hint = argument, hint
