# SPDX-License-Identifier: Apache-2.0
"""The packages: all folders below openkpu/, and three that lie elsewhere in the checkout."""

from setuptools import find_packages, setup

ELSEWHERE = {"openkpu.golden": "tb/models", "openkpu.rtl": "rtl", "openkpu.sim": "sim"}

setup(packages=[*find_packages(include=["openkpu", "openkpu.*"]), *ELSEWHERE],
      package_dir={"openkpu": "openkpu", **ELSEWHERE})
