# SPDX-License-Identifier: Apache-2.0
"""The shared-data fixture, and a summary of the real models that ran."""

import signal
from collections import Counter
from pathlib import Path

import pytest
from shared_data import NO_SHARED, PRESENT, SHARED


def pytest_configure():
    """A shell's background job ignores Ctrl-C, and so would every command that a test starts and interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with kmodels/, vectors/ and images/; skips the test where it is absent."""
    if not PRESENT:
        pytest.skip(NO_SHARED)
    return SHARED


KINDS = {"real_model": "real models on the functional back end", "rtl_model": "real models in the RTL",
         "small_network": "small networks on the functional back end", "rtl_networks": "small networks in the RTL",
         "raw_layers": "raw layers in the RTL", "stored_network": "stored networks and functions of nncase 1.9",
         "fresh_network": "fresh random networks against nncase 1.9"}


def pytest_terminal_summary(terminalreporter):
    """Count what tests report with record_property(kind, cases)."""
    cases, tests = Counter(), Counter()
    for report in terminalreporter.getreports("passed"):
        for key, value in getattr(report, "user_properties", ()):
            if report.when == "call" and key in KINDS:
                tests[key] += 1
                cases[key] += value
    for key, text in KINDS.items():
        terminalreporter.write_line(f"{text}: {tests[key]} tests, {cases[key]} cases")
    if not PRESENT:
        terminalreporter.write_line(NO_SHARED)
