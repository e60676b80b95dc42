"""Every file that deploys infolake is read by the tool that would use it, offline."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SECRETS = re.compile(
    r"(?i)(password|passwd|secret_?key|access_?key|token)\s*[=:]\s*\S|AKIA[0-9A-Z]{16}|BEGIN .*PRIVATE KEY"
)


def tool(name: str, marker: str) -> str:
    """Return the path of a tool; without it skip, or fail where the environment requires it."""
    found = shutil.which(name)
    if found is None:
        required = os.environ.get("INFOLAKE_REQUIRE", "").split(",")
        (pytest.fail if marker in required else pytest.skip)(f"{name} is not installed")
    return found


def call(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.compose
def test_compose_accepts_the_file():
    found = call(tool("docker-compose", "compose"), "-f", str(DEPLOY / "compose.yaml"), "config", "-q")
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.compose
def test_compose_resolves_the_services():
    found = call(tool("docker-compose", "compose"), "-f", str(DEPLOY / "compose.yaml"), "config")
    services = yaml.safe_load(found.stdout)["services"]
    assert set(services) == {"scheduler", "worker", "job"}
    for service in services.values():
        assert not service.get("ports")
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    assert "tcp://scheduler:8786" in services["job"]["command"]


def test_the_commands_of_compose_exist():
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert services["scheduler"]["entrypoint"][:2] == ["dask", "scheduler"]
    options = {
        o for s in ("scheduler", "worker") for o in map(str, services[s]["entrypoint"]) if o.startswith("--")
    }
    known = "".join(
        call(sys.executable, "-m", "dask", kind, "--help").stdout for kind in ("scheduler", "worker")
    )
    assert [
        o for o in options if o not in known.replace("--dashboard / --no-dashboard", "--no-dashboard")
    ] == []
    command = services["job"]["command"]
    known = call(sys.executable, "-m", "infolake.cli", "run", "--help").stdout
    assert [o for o in command if o.startswith("--") and o not in known] == []
    job = re.sub(r"\$\{JOB:-(.*)\}", r"\1", command[1])
    assert (ROOT / job.lstrip("/")).is_file()


@pytest.fixture
def units(tmp_path):
    """Copies of the units whose program exists on this machine."""
    for name in ("infolake-report.service", "infolake-report.timer"):
        text = (DEPLOY / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/infolake/bin/infolake", sys.executable))
    return [str(p) for p in sorted(tmp_path.iterdir())]


@pytest.mark.systemd
def test_systemd_accepts_the_units(units):
    found = call(tool("systemd-analyze", "systemd"), "verify", *units)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.systemd
def test_the_service_is_hardened(units):
    # Its exposure, from 0 (none) to 100: what systemd calls OK ends at 40.
    found = call(tool("systemd-analyze", "systemd"), "security", "--offline=true", "--threshold=30", units[0])
    assert found.returncode == 0, found.stdout


@pytest.mark.systemd
def test_the_timer_has_a_next_time():
    timer = unit("infolake-report.timer")
    found = call(tool("systemd-analyze", "systemd"), "calendar", timer["Timer"]["OnCalendar"])
    assert found.returncode == 0, found.stderr


def unit(name):
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    parser.read(DEPLOY / name)
    return parser


def test_the_service_runs_again_only_where_that_helps():
    from infolake import errors

    service = unit("infolake-report.service")["Service"]
    prevented = {int(code) for code in service["RestartPreventExitStatus"].split()}
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.InfolakeError)]
    assert {k.exit_code for k in kinds} - prevented == {69, 75}
    for setting in ("NoNewPrivileges", "PrivateTmp", "DynamicUser"):
        assert service[setting] == "yes"
    assert service["ProtectSystem"] == "strict"


def test_the_containerfile():
    lines = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ").splitlines()
    steps = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    assert {word for word, _ in steps} <= {
        "FROM",
        "WORKDIR",
        "COPY",
        "RUN",
        "ENV",
        "USER",
        "ENTRYPOINT",
        "CMD",
    }
    assert all("-slim" in rest for word, rest in steps if word == "FROM")
    users = [rest for word, rest in steps if word == "USER"]
    assert users
    assert users[-1] not in ("root", "0")
    assert any("-c constraints.txt" in rest for word, rest in steps if word == "RUN")
    copied = [rest.split()[:-1] for word, rest in steps if word == "COPY" and "--from" not in rest]
    assert all((ROOT / name).exists() for names in copied for name in names)


def test_no_file_holds_a_secret():
    for path in DEPLOY.iterdir():
        assert not SECRETS.search(path.read_text()), path


def test_constraints_are_exact_versions():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) > 50
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line


def test_constraints_cover_what_is_needed():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    names = {re.split(r"[\[<>=!~ ]", r)[0].lower().replace("_", "-") for r in needed}
    pinned = {
        re.split("==", line)[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    assert names <= pinned


def test_the_makefile_is_understood():
    make = tool("make", "make")
    for target in ("run", "test", "test-long"):
        found = call(make, "-n", "-C", str(ROOT), target)
        assert (found.returncode, found.stderr) == (0, "")


def test_the_ci_script_is_a_script():
    assert call("bash", "-n", str(ROOT / ".ci" / "run")).returncode == 0
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
