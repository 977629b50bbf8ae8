# SPDX-License-Identifier: Apache-2.0
"""What the compiler raises."""

from __future__ import annotations

from ..errors import OpenKPUError


class CompileError(OpenKPUError):
    """The network cannot become a kmodel: one sentence that names the node, the reason and the way out."""

    exit_code = 3
