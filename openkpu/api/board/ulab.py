# SPDX-License-Identifier: Apache-2.0
"""``ulab``: the arrays of the firmware's numerics module, by numpy.

Both layouts are there: sub-modules as in the firmware's release (``ulab.vector``, ``ulab.numerical``, ``ulab.linalg``,
``ulab.fft``, ``ulab.poly``, ``ulab.filter``, ``ulab.compare``) and everything in ``ulab`` or ``ulab.numpy`` as in later
ones. Arrays are float32 unless told otherwise; ``shape`` and ``size`` also answer as methods, as the old ones do.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np


class _CallableTuple(tuple):
    def __call__(self):
        return tuple(self)


class _CallableInt(int):
    def __call__(self, axis=None):
        return int(self)


class ndarray(np.ndarray):
    """A numpy array whose ``shape`` and ``size`` may be called."""

    @property
    def shape(self):
        """Lengths of the axes."""
        return _CallableTuple(np.ndarray.shape.__get__(self))

    @shape.setter
    def shape(self, value):
        vars(np.ndarray)["shape"].__set__(self, value)

    @property
    def size(self):
        """Number of elements."""
        return _CallableInt(np.ndarray.size.__get__(self))

    def rawsize(self) -> tuple[int, ...]:
        """(rows, columns, elements, bytes, bytes of an element)."""
        rows, columns = self.shape if self.ndim == 2 else (1, len(self))
        return rows, columns, int(self.size), self.nbytes, self.itemsize

    def __getitem__(self, index):
        value = super().__getitem__(index)
        return value.item() if isinstance(value, np.generic) else value


DTYPES = {"uint8": np.uint8, "int8": np.int8, "uint16": np.uint16, "int16": np.int16, "float": np.float32}


def _wrap(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return tuple(_wrap(v) for v in value)
    return value.view(ndarray) if isinstance(value, np.ndarray) else value


def _wrapped(function, *, as_float=False):
    def call(*args, **keywords):
        result = function(*args, **keywords)
        if as_float and isinstance(result, np.ndarray) and result.dtype == np.float64:
            result = result.astype(np.float32)
        return _wrap(result)

    call.__name__, call.__doc__ = function.__name__, f"As ``numpy.{function.__name__}``."
    return call


def array(values, dtype=np.float32) -> ndarray:
    """Array of numbers, float32 unless ``dtype`` says otherwise."""
    return np.array(values, dtype=dtype).view(ndarray)


def _filled(function):
    def make(*args, dtype=np.float32, **keywords):
        return function(*args, dtype=dtype, **keywords).view(ndarray)

    make.__name__, make.__doc__ = function.__name__, f"As ``numpy.{function.__name__}``, float32 by default."
    return make


def _fft(real, imaginary=None):
    """(real, imaginary) of the discrete Fourier transform."""
    bins = np.fft.fft(np.asarray(real) + (0 if imaginary is None else 1j * np.asarray(imaginary)))
    return _wrap(bins.real.astype(np.float32)), _wrap(bins.imag.astype(np.float32))


def _ifft(real, imaginary=None):
    """(real, imaginary) of the inverse transform."""
    bins = np.fft.ifft(np.asarray(real) + (0 if imaginary is None else 1j * np.asarray(imaginary)))
    return _wrap(bins.real.astype(np.float32)), _wrap(bins.imag.astype(np.float32))


def _spectrogram(real, imaginary=None):
    """Absolute values of the transform."""
    return _wrap(np.hypot(*_fft(real, imaginary)))


def _vectorize(function, otypes=None):
    """A function of arrays from one of numbers."""
    return _wrapped(np.vectorize(function, otypes=None if otypes is None else [otypes]))


_GROUPS = {
    "vector": {**{n: _wrapped(getattr(np, m), as_float=True) for n, m in (
        ("acos", "arccos"), ("acosh", "arccosh"), ("asin", "arcsin"), ("asinh", "arcsinh"), ("atan", "arctan"),
        ("atan2", "arctan2"), ("arctan2", "arctan2"), ("atanh", "arctanh"), ("ceil", "ceil"), ("cos", "cos"),
        ("cosh", "cosh"), ("degrees", "degrees"), ("radians", "radians"), ("exp", "exp"), ("expm1", "expm1"),
        ("floor", "floor"), ("log", "log"), ("log10", "log10"), ("log2", "log2"), ("around", "around"),
        ("sin", "sin"), ("sinc", "sinc"), ("sinh", "sinh"), ("sqrt", "sqrt"), ("tan", "tan"), ("tanh", "tanh"))},
        "vectorize": _vectorize},
    "numerical": {n: _wrapped(getattr(np, n)) for n in (
        "argmax", "argmin", "argsort", "cross", "diff", "flip", "max", "mean", "median", "min", "roll", "sort", "std",
        "sum", "dot", "trapezoid" if hasattr(np, "trapezoid") else "trapz")},
    "linalg": {**{n: _wrapped(getattr(np.linalg, n)) for n in ("cholesky", "det", "eig", "inv", "norm")},
               "dot": _wrapped(np.dot), "trace": _wrapped(np.trace), "size": _wrapped(np.size)},
    "fft": {"fft": _fft, "ifft": _ifft, "spectrogram": _spectrogram, "spectrum": _spectrogram},
    "poly": {n: _wrapped(getattr(np, n)) for n in ("polyfit", "polyval", "interp")},
    "filter": {"convolve": _wrapped(np.convolve)},
    "compare": {n: _wrapped(getattr(np, n)) for n in ("clip", "equal", "maximum", "minimum", "not_equal")},
    "user": {},
}
_CREATION = {
    "array": array, "ndarray": array, **DTYPES, "bool": np.bool_,
    **{n: _filled(getattr(np, n)) for n in ("arange", "eye", "full", "linspace", "logspace", "ones", "zeros")},
    **{n: _wrapped(getattr(np, n)) for n in ("concatenate", "diag", "frombuffer", "asarray", "copy", "where", "all",
                                             "any", "isfinite", "isinf", "nonzero", "transpose", "reshape")},
    "inf": float("inf"), "nan": float("nan"), "pi": float(np.pi), "e": float(np.e), "__version__": "0.54.5",
    "set_printoptions": np.set_printoptions, "get_printoptions": np.get_printoptions, "ndinfo": print,
}


class _ArrayModule(ModuleType):
    """``ulab.array`` is a function and, for ``import ulab.array``, a module."""

    def __call__(self, values, dtype=np.float32) -> ndarray:
        return array(values, dtype)


def ulab_modules() -> dict[str, ModuleType]:
    """``ulab`` and its sub-modules by their full names."""
    ulab = ModuleType("ulab", __doc__)
    ulab.__path__ = []
    found = {"ulab": ulab}
    everything = dict(_CREATION)
    for name, members in _GROUPS.items():
        module = ModuleType(f"ulab.{name}", f"ulab's {name}.")
        module.__dict__.update(members)
        found[module.__name__] = module
        everything.update(members)
    numpy_like = ModuleType("ulab.numpy", "All of ulab under numpy's names.")
    numpy_like.__dict__.update(everything, **{name: found[f"ulab.{name}"] for name in ("fft", "linalg")})
    ulab.__dict__.update(everything, numpy=numpy_like)
    ulab.__dict__.update({name.partition(".")[2]: module for name, module in found.items() if "." in name})
    array = ulab.__dict__["array"] = _ArrayModule("ulab.array", _ArrayModule.__doc__)
    array.__dict__.update(_CREATION)
    return {**found, "ulab.numpy": numpy_like, "ulab.array": array}
