# SPDX-License-Identifier: Apache-2.0
"""Builds the Verilated KPU once per content of its sources and options, and keeps it in the user's cache."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ..errors import DeviceError
from ..hw.configs import CORES, CoreParameters
from ..hw.sources import FILES, INCLUDE, ROOT, RTL, below
from . import guard
from .verilator import verilator_environment

SIM = ROOT / "sim"
LIBRARY = "libopenkpu.so"
# Measured on the full configuration (docs/simulation.md).
VERILATE = ["--cc", "--exe", "-O3", "--x-assign", "fast", "--x-initial", "unique", "--noassert",
            "--output-split", "8000", "-Wno-fatal", "-Wno-lint", "--prefix", "Vkpu"]
OPTIMISE = "-O2"
# Top module -> the C++ around it.
PROGRAMS = {"kpu_core": ["openkpu.cpp", "visible.vlt"], "kpu_soc": ["soc.cpp", "flash_model.cpp"]}
NAMES = "names.sv"  # fields and states by name, bound to the core (openkpu/hw/names.py)
LOCK = "lock"
BUILD_SECONDS = 3600
POLL_SECONDS = 0.2


def library(core: CoreParameters, traces: bool = False, soc_sram_bytes: int | None = None) -> Path:
    """The shared library of a configuration, built if it is not in the cache.

    Parameters
    ----------
    core : parameters of ``kpu_core``.
    traces : with waveforms, which is slower.
    soc_sram_bytes : build ``kpu_soc`` with so much SRAM (sim/include/openkpu_soc.h) instead of ``kpu_core``.

    Raises
    ------
    DeviceError
        A tool is missing, the sources are not there, or the build fails; the log's place is named.
    """
    top = "kpu_core" if soc_sram_bytes is None else "kpu_soc"
    sources = _sources(top)
    parameters = core.verilog() | ({} if soc_sram_bytes is None else {"SRAM_BYTES": soc_sram_bytes})
    options = [*VERILATE, "--top-module", top, *(f"-G{name}={value}" for name, value in parameters.items())]
    if core.CACHE_LINES and top == "kpu_core":  # how sim/openkpu.cpp looks through the cache
        options += ["-CFLAGS", f"-DOPENKPU_CACHE_LINES={core.CACHE_LINES} -DOPENKPU_AIRAM_ROWS={core.AIRAM_ROWS}"]
    if traces:
        options.append(f"--trace-{trace_format()}")
        if top == "kpu_core":
            sources.append(SIM / NAMES)
    environment = verilator_environment()
    folder = cached_folder(sources, options, environment)
    return build_in_cache(folder, LIBRARY, lambda objects: [_verilate(top, sources, options, objects, traces)],
                          environment)


def cached_folder(sources: list[Path], options: list[str], environment: dict[str, str]) -> Path:
    """Where a simulator made of some files with some options has its place."""
    return cache_folder() / _key(sources, options, environment)


def build_in_cache(folder: Path, product: str, commands: Callable[[Path], list[list[str]]],
                   environment: dict[str, str]) -> Path:
    """A file of a folder in the cache, built if it is not there.

    Parameters
    ----------
    folder, product : where the file is, and its name.
    commands : called with the folder for objects; the commands that write a ``Vkpu.mk`` there, which makes the product.
    environment : for them, beside this process's.

    Raises
    ------
    DeviceError
        A command fails, or the folder cannot be written.
    """
    try:
        if is_sealed(folder / product):
            return folder / product
        with only_builder(folder):
            if not is_sealed(folder / product):
                if (folder / product).exists():
                    print(f"openkpu: the simulator in {folder} is not as it was built; building it again",
                          file=sys.stderr)
                for left in folder.glob("obj-*"):  # by a build that was killed
                    shutil.rmtree(left, ignore_errors=True)
                with tempfile.TemporaryDirectory(prefix="obj-", dir=folder) as objects:
                    _build(commands(Path(objects)), environment, Path(objects))
                    (Path(objects) / product).rename(folder / product)
                seal(folder / product)
    except OSError as error:
        raise DeviceError(f"the simulator cannot be built in {folder}: {error.strerror}; free some space there or set "
                          "XDG_CACHE_HOME to another folder") from error
    return folder / product


@functools.cache
def trace_format() -> str:
    """The waveform format of libraries with traces: "fst", or the larger "vcd" where lz4.h and zlib.h are missing."""
    compiler = ["c++", "-fsyntax-only", "-x", "c++", "-include", "lz4.h", "-include", "zlib.h", "/dev/null"]
    return "vcd" if subprocess.run(compiler, capture_output=True, check=False).returncode else "fst"


def cache_folder() -> Path:
    """Where built simulators are kept. DeviceError if the user has no home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openkpu"
    except RuntimeError as error:
        raise DeviceError("there is no home folder for built simulators; set XDG_CACHE_HOME to a folder") from error


@contextmanager
def only_builder(folder: Path) -> Iterator[None]:
    """Make the folder and keep other processes from building in it; they wait. DeviceError after a generous time."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        for _ in range(int(BUILD_SECONDS / POLL_SECONDS)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(POLL_SECONDS)
        else:
            raise DeviceError(f"another process has been building the simulator in {folder} for {BUILD_SECONDS} s; "
                              "end it and try again")
        yield


def seal(file: Path) -> None:
    """Note what a finished file is like: a disk that was full, or a copied cache, may leave something else there."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as note:
        note.write(_fingerprint(file))
    Path(note.name).replace(_note(file))


def is_sealed(file: Path) -> bool:
    """Whether a file is there and as it was when it was sealed."""
    try:
        return _note(file).read_text() == _fingerprint(file)
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def _note(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")


def _fingerprint(file: Path) -> str:
    with file.open("rb") as data:
        return f"{os.fstat(data.fileno()).st_size} {hashlib.file_digest(data, 'sha256').hexdigest()}"


def start_afresh(folder: Path) -> None:
    """Delete what a build that failed or was killed left in a folder; everything but its ``lock``.

    Makefiles take an empty file for a finished one.
    """
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def _sources(top: str) -> list[Path]:
    if not FILES[top].is_file():
        raise DeviceError(f"the RTL sources are not in {RTL}; the RTL back end works from a checkout of the OpenKPU "
                          "repository, installed with: pip install -e .")
    programs = [SIM / name for name in PROGRAMS[top]]
    return [*programs, *sorted(SIM.rglob("*.h")), *sorted(INCLUDE.glob("*.vh")), *below([top])]


def _key(sources: list[Path], options: list[str], environment: dict[str, str]) -> str:
    digest = hashlib.sha256(repr((options, OPTIMISE, environment.get("VERILATOR_ROOT"))).encode())
    for path in sources:
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]


def _verilate(top: str, sources: list[Path], options: list[str], objects: Path, traces: bool) -> list[str]:
    folders = sorted({path.parent for path in sources if path.suffix in (".v", ".vh")})
    flags = ["-fPIC", "-fvisibility=hidden", f"-I{SIM}", f"-I{SIM / 'include'}"]
    if traces:
        flags.append(f"-DOPENKPU_{trace_format().upper()}")
    return ["verilator", *options, *(f"-I{path}" for path in folders), "-CFLAGS", " ".join(flags), "-LDFLAGS",
            "-shared", "-Mdir", str(objects), "-o", LIBRARY, str(FILES[top]),
            *(str(path) for path in sources if path.name == NAMES), *(str(SIM / name) for name in PROGRAMS[top])]


def _build(commands: list[list[str]], environment: dict[str, str], objects: Path) -> None:
    make = ["make", "-j", str(os.cpu_count() or 1), "-C", str(objects), "-f", "Vkpu.mk",
            f"OPT_FAST={OPTIMISE}", f"OPT_GLOBAL={OPTIMISE}", *environment.get("MAKEFLAGS", "").split()]
    log = objects.parent / "build.log"
    console = Console(stderr=True)
    with log.open("w") as output, Progress(
            TextColumn("building the simulator (once)"), BarColumn(), TextColumn("{task.description}"),
            TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal) as progress:
        if not console.is_terminal:
            console.print("openkpu: building the simulator; this takes a few minutes, once", highlight=False)
        task = progress.add_task("Verilator", total=None)
        environment = os.environ | environment | {"MAKEFLAGS": ""}
        for command in commands:
            _run(command, environment, output, log)
        total = len(list(objects.glob("*.cpp")))
        progress.update(task, description="compiler", total=total)
        _run(make, environment, output, log, lambda: progress.advance(task))


def _run(command: list[str], environment: dict[str, str], output, log: Path, compiled=lambda: None) -> None:
    """Run a command into the log; ``compiled`` is called for every C++ file that is begun."""
    job = guard.start(command, environment, subprocess.PIPE)
    try:
        for line in job.stdout or ():
            output.write(line)
            if re.search(r"\s-c\s", line):
                compiled()
        job.wait()
    finally:
        guard.end(job)
    if job.returncode:
        output.flush()
        raise DeviceError(f"building the simulator failed: '{command[0]}' ended with code {job.returncode}; "
                          f"see {log}")


def main(arguments: list[str]) -> int:
    """``python -m openkpu.devices.build [CONFIGURATION]``: build the library and print its path, for C programs."""
    name = arguments[0] if arguments else "full"
    if len(arguments) > 1 or name not in CORES:
        print(f"usage: python -m openkpu.devices.build [{'|'.join(CORES)}]", file=sys.stderr)
        return 2
    try:
        print(library(CORES[name]))
    except DeviceError as error:
        print(f"openkpu: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
