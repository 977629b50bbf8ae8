# SPDX-License-Identifier: Apache-2.0
"""Finds the shared libpython that a simulator loads for cocotb.

Debian's and Ubuntu's ``python3`` is one static program; the library of the same version is a package of its own. Where
it is not installed it is fetched and unpacked into the cache with the system's apt-get, which needs no root.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from ..errors import DeviceError
from .build import cache_folder

NAME = f"libpython{sysconfig.get_config_var('py_version_short')}"
SECONDS = 300


def libpython_environment() -> dict[str, str]:
    """Environment variables with which cocotb finds libpython; none where it does so by itself.

    Raises
    ------
    DeviceError
        There is none for this Python and none can be fetched; the message names the command that helps.
    """
    import find_libpython  # comes with cocotb

    if os.environ.get("LIBPYTHON_LOC") or find_libpython.find_libpython():
        return {}
    distributions_own = sys.base_prefix == "/usr" and shutil.which("apt-get") and shutil.which("dpkg-deb")
    found = _fetched() if distributions_own else None
    if found is None:
        helps = (f"sudo apt-get install {NAME}" if distributions_own else
                 f"env PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install {sysconfig.get_config_var('py_version')} "
                 "(or build this Python with --enable-shared in another way)")
        raise DeviceError(f"cocotb needs the shared library {NAME}, which {sys.executable} comes without; "
                          f"install it with: {helps}")
    return {"LIBPYTHON_LOC": str(found)}


def _fetched() -> Path | None:
    """The library in the cache, fetched if it is not there; None if that fails."""
    folder = cache_folder() / f"{NAME}-{sysconfig.get_config_var('MULTIARCH')}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _libraries(folder / "root"):
            print(f"openkpu: fetching {NAME} for cocotb with apt-get (nothing is installed)", file=sys.stderr)
            with tempfile.TemporaryDirectory(prefix="new-", dir=folder) as new:
                if not _fetch(Path(new)):
                    return None
                shutil.rmtree(folder / "root", ignore_errors=True)
                (Path(new) / "root").rename(folder / "root")
    return _libraries(folder / "root")[0]


def _libraries(root: Path) -> list[Path]:
    return sorted(path for path in root.glob(f"usr/lib/**/{NAME}.so.*") if path.is_file())


def _fetch(folder: Path) -> bool:
    """Unpack the package into ``folder``/root; package lists of its own where the system's do not know it."""
    own_lists = ["-o", f"Dir::State={folder}", "-o", f"Dir::Cache={folder}", "-o", "APT::Sandbox::User="]
    (folder / "lists" / "partial").mkdir(parents=True)
    with (folder.parent / "fetch.log").open("w") as log:
        def run(*command: str) -> bool:
            try:
                return subprocess.run(command, cwd=folder, stdout=log, stderr=log, check=False,
                                      timeout=SECONDS).returncode == 0
            except subprocess.TimeoutExpired:
                return False

        got = run("apt-get", "download", NAME) or (
            run("apt-get", *own_lists, "update") and run("apt-get", *own_lists, "download", NAME))
        packages = list(folder.glob(f"{NAME}_*.deb"))
        return (got and len(packages) == 1 and run("dpkg-deb", "-x", str(packages[0]), "root")
                and bool(_libraries(folder / "root")))
