"""Where the test data is, and a summary of the real models that ran."""

import os
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("OPENKPU_SHARED") or ROOT.parent / "shared")
NO_SHARED = f"the real models are not there: put them in {SHARED} or set OPENKPU_SHARED"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with kmodels/, vectors/ and images/; skips the test where it is absent."""
    if not (SHARED / "vectors").is_dir():
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
    if not (SHARED / "vectors").is_dir():
        write(NO_SHARED)
