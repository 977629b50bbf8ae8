# SPDX-License-Identifier: Apache-2.0
"""Every synthetic model of the loader tests, by name; ``python tests/synthetic_models.py DIR`` writes them as files,
for instance for ``python tools/fuzz_kmodel.py DIR``."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import test_kmodel_v3 as v3
import test_kmodel_v4 as v4
import test_kmodel_v5 as v5
from kmodel_writer import RET, descriptor, mr, tensor, v3_conv, v3_fc, v3_file, v4_file


def package(members: dict[str, bytes]) -> bytes:
    """A zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def synthetic_models() -> dict[str, bytes]:
    """File contents by file name: one model per operator of every version, and packages."""
    files = {f"v3_{b[0]}.kmodel": v3_file([v3_fc(), (b[1], b[2])]) for b in v3.BODIES}
    d = descriptor(pool=1)
    dequantize = (12, v3.words(0, 0, 64, 48, 1.0, 0.0))
    files["v3_conv.kmodel"] = v3_file([(10240, lambda p: v3_conv(p, d, flags=1)), dequantize])
    wide = descriptor(eight_bit=False)
    files["v3_conv_16bit.kmodel"] = v3_file([(10240, lambda p: v3_conv(p, wide, eight_bit=False))],
                                            flags=0)
    files |= {f"v4_{b[0]}.kmodel": v4_file([(b[1], b[2])], const=v4.CONSTANTS) for b in v4.BODIES}
    files["v4_conv.kmodel"] = v4.conv_file(main_out=mr(64, 3 * 192, v4.U8), batches=3, skips=(8, 120, 56))
    files |= {f"v5_{f[0]}.kmodel": v5.code_file(f[2] + tensor(f[1], f[3]) + v5.NEWEST + RET, rdata=v5.CONSTANTS)
              for f in v5.FUNCTIONS}
    files["v5_k210.kmodel"] = v5.k210_file()
    flash_list = b'{"version": "0.1.0", "files": [{"address": 0x300000, "bin": "m.kmodel", "sha256Prefix": false}]}'
    files["one.kfpkg"] = package({"flash-list.json": flash_list, "m.kmodel": files["v3_conv.kmodel"]})
    return files


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in synthetic_models().items():
        (folder / name).write_bytes(content)
    print(f"wrote {len(synthetic_models())} files to {folder}")
