"""infolake.yaml is complete: every setting that is read stands there, and every one there is read."""

import re
import subprocess
import sys
from pathlib import Path

import dask
import pytest

import infolake
from infolake.errors import ConfigError
from infolake.reduction import config

SOURCES = Path(infolake.__file__).parent
READ = re.compile(r"""config\.(?:setting|seconds|size|number)\(\s*["']([a-z-]+)["']""")


def test_the_defaults_are_complete():
    used = {name for path in SOURCES.rglob("*.py") for name in READ.findall(path.read_text("utf-8"))}
    assert used == set(config.defaults()["infolake"])


def test_every_default_can_be_read():
    readers = {"seconds": 0, "size": 0, "number": 0}
    for name in config.defaults()["infolake"]:
        for reader in readers:
            try:
                getattr(config, reader)(name)
            except ConfigError:
                continue
            readers[reader] += 1
    assert all(readers.values())


def test_what_a_user_sets_stands_above_the_defaults():
    with dask.config.set({"infolake.retries": 7, "infolake.connect-timeout": "3 minutes"}):
        assert config.number("retries") == 7
        assert config.seconds("connect-timeout") == 180


def test_defaults_outlive_the_block_that_infolake_was_imported_in():
    told = """
import dask
with dask.config.set({"infolake.retries": 7}):
    from infolake.reduction import config
    assert config.number("retries") == 7
print(config.number("retries"), config.number("split-every"))
"""
    found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["2", "8"]


@pytest.mark.parametrize(
    ("reader", "name"), [("seconds", "connect-timeout"), ("size", "leaf-bytes"), ("number", "retries")]
)
def test_a_setting_that_cannot_be_read(reader, name):
    with dask.config.set({f"infolake.{name}": "many\x1b"}), pytest.raises(ConfigError) as caught:
        getattr(config, reader)(name)
    assert name in caught.value.what
    assert "\x1b" not in str(caught.value)
    assert caught.value.exit_code == 78
