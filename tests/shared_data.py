# SPDX-License-Identifier: Apache-2.0
"""Where the third-party test data is: real kmodels, their vectors, pictures."""

import os
from pathlib import Path

SHARED = Path(os.environ.get("OPENKPU_SHARED") or Path(__file__).resolve().parents[2] / "shared")
PRESENT = (SHARED / "vectors").is_dir()
NO_SHARED = f"the real models are not in {SHARED}: put them there or set OPENKPU_SHARED"
