# SPDX-License-Identifier: Apache-2.0
"""The one list of the RTL's files is what is there, and what FuseSoC is told."""

import re

from openkpu.hw.ecp5 import ARITHMETIC
from openkpu.hw.sources import DESIGN, FILES, FOLDERS, ROOT, RTL, below


def test_list_holds_every_file_of_the_rtl():
    assert sorted([*FILES.values(), ARITHMETIC]) == sorted(RTL.rglob("*.v"))


def test_every_file_holds_the_module_of_its_name():
    for name, path in FILES.items():
        assert re.findall(r"^module (\w+)", path.read_text(), re.MULTILINE) == [name]


def test_every_module_has_a_section_on_the_page_of_its_folder():
    for folder, names in FOLDERS.items():
        if folder != "synth":
            page = (ROOT / "docs/modules" / f"{folder or 'soc'}.md").read_text()
            assert [name for name in names if f"\n## {name}\n" not in page] == [], f"docs/modules/{folder or 'soc'}.md"


def test_fusesoc_is_told_the_same_files_in_the_same_order():
    core = re.findall(r"^ +- (rtl/\S+\.v)$", (ROOT / "openkpu.core").read_text(), re.MULTILINE)
    assert core == [str(path.relative_to(ROOT)) for path in FILES.values()]


def test_modules_below_are_found_through_every_level_and_no_comment():
    assert {path.stem for path in below(["kpu_array"])} == {
        "kpu_array", "kpu_segment", "kpu_pe", "kpu_two_products", "kpu_ram", "kpu_sum_of_nine"}
    assert below(["kpu_lane"]) == [FILES["kpu_lane"], FILES["kpu_ram"]]
    assert below(["kpu_soc"]) == DESIGN


def test_modules_below_a_bench_do_not_include_it():
    assert {path.stem for path in below([ROOT / "tb/conv/tb_window.v"])} == {
        "kpu_feature_fetch", "kpu_window", "kpu_window_ram", "kpu_window_regs", "kpu_queue"}
