# SPDX-License-Identifier: Apache-2.0
"""Runs commands on a machine that has nothing: a fresh Debian or Ubuntu root, an ordinary user, cold caches.

Usage: sudo python3 tools/bare_machine.py [--suite bookworm] [--minutes 60] [COMMAND ...]

Without a COMMAND the README's own commands are pasted, one after the other. Each runs in a clone of this checkout's
HEAD as ``bash -c`` of an ordinary user, who has only what the README asks for; time and result of each are printed, and
at the end a table. Ends with code 1 if one failed, with 3 where such a root cannot be made (not root, no debootstrap,
no mount): the last line says which.

The root is kept in build/bare/SUITE (about 0.7 GB) and used again; the user's home is made anew each time. pip's
configuration and the certificates are this machine's, so that both reach the same index; the shared test data, where
there is any, lies beside the clone.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = "python3,python3-venv,make,g++,perl,git,ca-certificates"
SUITES = ("bookworm", "trixie", "sid", "noble")
COMPONENTS = {"noble": "main,universe"}
USER, UID = "newcomer", 1234
HOME = f"home/{USER}"
BUILD_MINUTES = 30
IMPOSSIBLE, TOO_LONG = 3, 124
CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")


class Impossible(Exception):
    """This machine cannot make or enter a root of its own."""


def make_root(suite: str, mirror: str | None) -> Path:
    """The pristine root of a suite, made if it is not there yet."""
    if os.geteuid() != 0:
        raise Impossible("debootstrap and chroot need root")
    for tool in ("debootstrap", "unshare", "mount"):
        if not shutil.which(tool):
            raise Impossible(f"'{tool}' is missing; install it with: apt-get install debootstrap util-linux mount")
    root = ROOT / "build" / "bare" / suite
    done = root.with_name(f"{suite}.done")
    if not done.exists():
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        log = root.with_name(f"{suite}.log")
        print(f"debootstrap {suite} from {mirror or 'its own mirror'}; log in {log.relative_to(ROOT)}", flush=True)
        with log.open("w") as output:
            command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}",
                       f"--components={COMPONENTS.get(suite, 'main')}", suite, str(root), *([mirror] if mirror else [])]
            made = subprocess.run(command, stdout=output, stderr=output, check=False, timeout=BUILD_MINUTES * 60)
        if made.returncode:
            raise Impossible(f"debootstrap ended with code {made.returncode}: {log.read_text().strip()[-200:]}")
        done.touch()
    return root


def prepare(root: Path, keep: bool) -> tuple[dict[str, str], list[Path]]:
    """A new home with the clone. Returns the user's environment and the folders of this machine that pip reads."""
    home = root / HOME
    if home.exists() and not keep:
        shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True)
    passwd = root / "etc/passwd"
    if f"{USER}:" not in passwd.read_text():
        with passwd.open("a") as lines:
            lines.write(f"{USER}:x:{UID}:{UID}::/{HOME}:/bin/bash\n")
        with (root / "etc/group").open("a") as lines:
            lines.write(f"{USER}:x:{UID}:\n")
    if not (home / "openkpu").exists():
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(home / "openkpu")], check=True)
        subprocess.run(["chown", "-R", f"{UID}:{UID}", str(home)], check=True)
    for name in ("etc/resolv.conf", "etc/hosts", CERTIFICATES):
        if (Path("/") / name).exists():
            shutil.copy(Path("/") / name, root / name)
    environment = {"HOME": f"/{HOME}", "USER": USER, "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8",
                   "TERM": "dumb"}
    environment |= {name: value for name, value in os.environ.items()
                    if name.startswith("PIP_") or name.lower().endswith("_proxy")}
    pip = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True,
                         check=True).stdout
    settings = re.findall(r"^global\.(\S+?)='(.*)'$", pip, re.M)
    (root / "etc/pip.conf").write_text("".join(["[global]\n", *(f"{name} = {value}\n" for name, value in settings)]))
    folders = set()
    variables = " ".join(value for name, value in environment.items() if name.startswith("PIP_"))
    for name in re.findall(r"(?:file://)?(/[\w./+-]+)", f"{pip} {variables}"):
        path = Path(name)
        if path.is_file():
            (root / path.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / path.relative_to("/"))
        elif path.is_dir() and len(path.parts) > 2:
            folders.add(Path(*path.parts[:3]))  # an index's links may lead beside it
    return environment, sorted(folders)


def enter(root: Path, command: str, environment: dict[str, str], folders: list[Path], seconds: float) -> int:
    """Run one command as the user in its clone, in namespaces of its own that end with it; its exit code."""
    script = ["set -e", f"cd {shlex.quote(str(root))}", "mount -t proc proc proc",
              "mount -t tmpfs -o mode=1777 tmpfs dev/shm",
              "mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts", "ln -sf pts/ptmx dev/ptmx",
              "mount -t tmpfs -o mode=1777 tmpfs tmp"]
    for folder in folders:
        inside = str(folder).lstrip("/")
        script += [f"mkdir -p {shlex.quote(inside)}",
                   f"mount --bind -o ro {shlex.quote(str(folder))} {shlex.quote(inside)}"]
    shared = Path(os.environ.get("OPENKPU_SHARED") or ROOT.parent / "shared")
    if shared.is_dir():
        script += [f"mkdir -p {HOME}/shared", f"mount --bind -o ro {shlex.quote(str(shared))} {HOME}/shared"]
    variables = " ".join(shlex.quote(f"{name}={value}") for name, value in environment.items())
    # The shell stays, as the namespace's first process: it takes in orphans, which a command in its place would not.
    script += ["set +e", f"chroot --userspec={UID}:{UID} . /usr/bin/env -i {variables} "
                         f"/bin/bash -c {shlex.quote(f'cd /{HOME}/openkpu && {command}')}", "exit $?"]
    try:
        return subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c",
                               "\n".join(script)], check=False, timeout=seconds).returncode
    except subprocess.TimeoutExpired:
        return TOO_LONG


def readme_commands() -> list[str]:
    """Every command of the README's ``sh`` blocks; a line that ends with a backslash goes on."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.S | re.M)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


def main(arguments: list[str] | None = None) -> int:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="bookworm", choices=SUITES)
    parser.add_argument("--mirror", help="where debootstrap gets the packages; the distribution's own by default")
    parser.add_argument("--minutes", type=float, default=60, help="bound of every single command")
    parser.add_argument("--keep", action="store_true", help="go on in the home of the last run, with its clone")
    parser.add_argument("commands", nargs="*", metavar="COMMAND")
    options = parser.parse_args(arguments)
    try:
        root = make_root(options.suite, options.mirror)
        environment, folders = prepare(root, options.keep)
        if enter(root, "true", environment, folders, 60):
            raise Impossible("the root cannot be entered (unshare, mount or chroot is not allowed)")
    except Impossible as reason:
        print(f"no bare machine: {reason}", file=sys.stderr)
        return IMPOSSIBLE
    results, variables = [], []
    for command in options.commands or readme_commands():
        print(f"\n$ {command}", flush=True)
        if re.fullmatch(r"[A-Z]+=\S+", command):  # goes on being set for the commands after it
            variables.append(f"{command}; ")
            continue
        begin = time.monotonic()
        code = enter(root, "".join(variables) + command, environment, folders, options.minutes * 60)
        results.append((command, time.monotonic() - begin, code))
        print(f"-> {results[-1][1]:.1f} s, code {code}", flush=True)
    print(f"\n{'seconds':>8}  code  command ({options.suite}, ordinary user)")
    for command, seconds, code in results:
        print(f"{seconds:8.1f}  {code:4}  {command}")
    return int(any(code for _, _, code in results))


if __name__ == "__main__":
    sys.exit(main())
