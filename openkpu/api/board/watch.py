# SPDX-License-Identifier: Apache-2.0
"""Brings every script to its end: threads, loops that wait for nothing, and exceptions that a script swallows.

A device script loops for ever. It leaves through ``SystemExit`` in ``sensor.snapshot`` and the other calls; this module
takes care of the scripts that make no such call in their main thread.
"""

from __future__ import annotations

import _thread
import ctypes
import itertools
import threading
import time
import traceback

from openkpu.api.board.board import Board

_PERIOD = 0.05
_TIMER_PERIOD = 0.005
_AGAIN_AFTER = 2.0
_GIVE_UP_AFTER = 10.0

_PENDING_CALL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


class Watch:
    """Observes one script from a thread of its own; a context manager round the script's execution.

    It ends the script when ``Settings.time_limit`` seconds pass without a camera frame or an inference, tells all of
    the script's threads when one of them has ended it, and lets timers call back in loops that call nothing.
    """

    def __init__(self, board: Board):
        self._board = board
        self._stop = threading.Event()
        self._saved_starts: list = []
        self._pending = _PENDING_CALL(self._timers_due)
        self._tickets = itertools.count(1)
        self._asked = False
        self._ended_at: float | None = None

    def __enter__(self) -> Watch:
        self._board.script_thread = threading.get_ident()
        self._in_main_thread = threading.current_thread() is threading.main_thread()
        self._board.parts["watch"] = self  # the interpreter may call _pending a moment after the run
        self._board.last_progress = time.monotonic()
        self._saved_starts = [(name, getattr(_thread, name)) for name in ("start_new_thread", "start_new")
                              if hasattr(_thread, name)]
        for name, function in self._saved_starts:
            setattr(_thread, name, self._starter(function))
        self._saved_starts.append(("stack_size", _thread.stack_size))
        _thread.stack_size = _stack_size
        self._thread = threading.Thread(target=self._run, name="script watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        try:
            self._finish()
        except SystemExit:  # asked to end in the same moment
            self._finish()

    def _finish(self) -> None:
        self._stop.set()
        self._thread.join()
        if self._board.script_thread is not None:
            _withdraw(self._board.script_thread)
        self._board.script_thread = None
        for name, function in self._saved_starts:
            setattr(_thread, name, function)
        deadline = time.monotonic() + _AGAIN_AFTER
        while self._board.workers and time.monotonic() < deadline:
            for thread in [w for w in list(self._board.workers) if w > 0]:
                _interrupt(thread)
            (self._board.host_sleep or time.sleep)(_PERIOD)

    def wait_for_threads(self) -> None:
        """The main program is over; its threads go on until they, or the run, end."""
        while self._board.workers:
            self._board.sleep(_PERIOD)

    def _starter(self, start):
        def start_new_thread(function, args=(), kwargs=None, /):
            if threading.current_thread() is self._thread or not self._from_script():
                return start(function, args, kwargs or {})
            ticket = -next(self._tickets)
            self._board.workers[ticket] = None  # until the thread runs and has its own number
            try:
                return start(self._work, (ticket, function, tuple(args), kwargs or {}))
            except BaseException:
                del self._board.workers[ticket]
                raise

        return start_new_thread

    def _from_script(self) -> bool:
        me = threading.get_ident()
        return me == self._board.script_thread or me in self._board.workers

    def _work(self, ticket, function, args, keywords) -> None:
        me = threading.get_ident()
        self._board.workers[me] = None
        del self._board.workers[ticket]
        try:
            function(*args, **keywords)
        except SystemExit:
            pass
        except BaseException as error:
            self._board.background_error = self._board.background_error or error
            traceback.print_exc()
        finally:
            self._board.workers.pop(me, None)

    def _run(self) -> None:
        while not self._stop.wait(_TIMER_PERIOD if self._board.timers else _PERIOD):
            board, now = self._board, time.monotonic()
            limit = board.settings.time_limit
            if not board.ended and not board.busy and limit and now - board.last_progress > limit:
                board.ended = f"no camera frame and no inference for {limit:g} s (--time-limit)"
            if board.ended:
                self._tell(now)
            elif self._in_main_thread and not self._asked and any(
                    timer.is_due(board.microseconds()) for timer in list(board.timers)):
                self._asked = True
                ctypes.pythonapi.Py_AddPendingCall(self._pending, None)

    def _tell(self, now: float) -> None:
        board = self._board
        self._ended_at = self._ended_at or now
        if board.busy or now - board.last_exit < _AGAIN_AFTER:
            return
        if now - self._ended_at > _GIVE_UP_AFTER and board.on_swallowed_exit is not None:
            board.on_swallowed_exit()
        board.last_exit = now
        for thread in (board.script_thread, *[w for w in list(board.workers) if w > 0]):
            if thread is not None:
                _interrupt(thread)

    def _timers_due(self, _) -> int:
        """Runs in the main thread between two of its instructions."""
        self._asked = False
        try:
            self._board.run_timers()
        except SystemExit:
            pass  # the board knows that it has ended and _tell() leaves the main program
        except BaseException as error:
            self._board.background_error = self._board.background_error or error
            traceback.print_exc()
        return 0


def _stack_size(size: int = 0) -> int:
    """Accepted: the host's threads have stacks of the host's size."""
    return 0


def _interrupt(thread: int) -> None:
    """Let ``SystemExit`` be raised in a thread at its next instruction."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(SystemExit))


def _withdraw(thread: int) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)
