"""The shared-data fixture, and a summary of the real models that ran."""

from collections import Counter
from pathlib import Path

import pytest
from shared_data import NO_SHARED, PRESENT, SHARED


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with kmodels/, vectors/ and images/; skips the test where it is absent."""
    if not PRESENT:
        pytest.skip(NO_SHARED)
    return SHARED


def pytest_terminal_summary(terminalreporter):
    """Count the tests that call record_property("real_model" / "small_network", cases)."""
    cases, tests = Counter(), Counter()
    for report in terminalreporter.getreports("passed"):
        for key, value in getattr(report, "user_properties", ()):
            if report.when == "call" and key in ("real_model", "small_network"):
                tests[key] += 1
                cases[key] += value
    write = terminalreporter.write_line
    write(f"real models: {tests['real_model']} passed with {cases['real_model']} cases; "
          f"small networks: {tests['small_network']} passed with {cases['small_network']} cases")
    if not PRESENT:
        write(NO_SHARED)
