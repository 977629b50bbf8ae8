# SPDX-License-Identifier: Apache-2.0
"""Parts of the board that are not simulated: they can be imported and used, and say once that nothing is behind them.

Two kinds. A stand-in accepts what a script does with it, so that the script's KPU part runs; its first use prints one
line. A refusal is for what a script cannot do without (LVGL, NES): importing works, using raises one sentence.
"""

from __future__ import annotations

from types import ModuleType

from openkpu.api.board.board import current_board
from openkpu.api.board.log import peripheral_log
from openkpu.errors import UsageError


class NotSimulatedError(UsageError, NotImplementedError):
    """The script needs something outside the simulation."""


def note(name: str, does: str) -> None:
    """Print, once a run, that ``name`` is a stand-in and what it does."""
    current_board().warn_once(f"stand-in {name}", f"{name} is a stand-in: {does}")


def refuse(name: str, instead: str = "only the KPU, camera, screen, flash and simple peripherals are"):
    """Raise ``NotSimulatedError``."""
    raise NotSimulatedError(f"{name} is not simulated: {instead}")


class Accepting:
    """An object every method of which is accepted, logged and gives 0; ``answers`` overrides that by name.

    Attributes
    ----------
    answers : values (or functions of the call's arguments) by method name.
    """

    _name = "peripheral"
    _does = "its calls are accepted and give 0"
    answers: dict = {}

    def __init__(self, *args, **keywords):
        note(self._name, self._does)
        self._log = peripheral_log(current_board())
        self._log(self._name, f"new {_show(args, keywords)}")

    def __getattr__(self, method: str):
        if method.startswith("_"):
            raise AttributeError(method)

        def accepted(*args, **keywords):
            self._log(self._name, f"{method}{_show(args, keywords)}")
            answer = self.answers.get(method, 0)
            return answer(*args, **keywords) if callable(answer) else answer

        return accepted


def _show(args, keywords) -> str:
    parts = [_short(value) for value in args] + [f"{name}={_short(value)}" for name, value in keywords.items()]
    return f"({', '.join(parts)})"


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def accepting(name: str, does: str = Accepting._does, answers: dict | None = None, **constants) -> type:
    """A class of ``Accepting`` objects with constants."""
    return type(name.rpartition(".")[2], (Accepting,),
                {"_name": name, "_does": does, "answers": answers or {}, **constants,
                 "__doc__": f"``{name}``: a stand-in; {does}."})


class AcceptingModule(ModuleType):
    """A module of stand-ins: every name that it has not is a class of ``Accepting`` objects."""

    def __init__(self, name: str, doc: str, **members):
        super().__init__(name, doc)
        self.__dict__.update(members)

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        made = accepting(f"{self.__name__}.{name}")
        setattr(self, name, made)
        return made


class _Refused:
    """A name of a refusing module: importing it is fine, using it is not."""

    def __init__(self, name: str, reason: str):
        self.__dict__.update(_name=name, _reason=reason)

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        refuse(f"{self._name}.{name}", self._reason)

    def __call__(self, *args, **keywords):
        refuse(self._name, self._reason)


class RefusingModule(ModuleType):
    """A module that imports; any use of its names raises one sentence."""

    def __init__(self, name: str, reason: str):
        super().__init__(name, f"Not simulated: {reason}.")
        self.__dict__.update(_reason=reason, __path__=[])

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Refused(f"{self.__name__}.{name}", self._reason)
