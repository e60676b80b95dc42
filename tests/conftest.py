"""Fixtures that all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of shared real data; loudly skip (or fail, if required) without it."""
    folder = Path(os.environ.get("INFOLAKE_SHARED", PROJECT.parent / "shared"))
    if not folder.is_dir():
        reason = f"NO SHARED DATA at {folder}: set INFOLAKE_SHARED to run the tests against real data"
        if "shared" in os.environ.get("INFOLAKE_REQUIRE", ""):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


settings.register_profile("infolake", deadline=None, derandomize=True, database=None, max_examples=40)
settings.register_profile("long", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "infolake"))
