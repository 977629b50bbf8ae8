# SPDX-License-Identifier: Apache-2.0
"""Shell completion, asked in the shells themselves."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# How a shell that has read the script FILE completes the words "openkpu" and "pro", one answer a line.
BASH = ("source FILE; COMP_WORDS=(openkpu pro); COMP_CWORD=1; _openkpu_completion openkpu; "
        "printf '%s\\n' \"${COMPREPLY[@]}\"")
ASKS = {
    "bash": ["bash", "--norc", "-c", BASH],
    "zsh": ["zsh", "-f", "-c", "compdef() {}; compadd() { print -rl -- $completions }\n"
                               "_describe() { print -rl -- $completions_with_descriptions }\n"
                               "source FILE; words=(openkpu pro); CURRENT=2; _openkpu_completion"],
    "fish": ["fish", "--no-config", "-c", "source FILE; complete -C 'openkpu pro'"],
}


def environment() -> dict[str, str]:
    return os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}


@pytest.mark.parametrize("shell", ASKS)
def test_shell_completes_the_command(shell, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed; install it with: sudo apt-get install {shell}")
    script = tmp_path / "completion"
    made = subprocess.run(["openkpu", "completion", shell], env=environment(), capture_output=True, text=True,
                          check=True)
    script.write_text(made.stdout)
    command = [part.replace("FILE", str(script)) for part in ASKS[shell]]
    done = subprocess.run(command, env=environment() | {"HOME": str(tmp_path)}, capture_output=True, text=True,
                          check=False, timeout=120)
    assert [line.split("\t")[0].split(":")[0] for line in done.stdout.split("\n") if line] == ["profile"], done


def test_option_values_are_completed():
    asked = environment() | {"_OPENKPU_COMPLETE": "bash_complete", "COMP_WORDS": "openkpu run --backend ",
                             "COMP_CWORD": "3"}
    done = subprocess.run(["openkpu"], env=asked, capture_output=True, text=True, check=True, timeout=120)
    assert {"plain,functional", "plain,rtl"} <= set(done.stdout.split())
