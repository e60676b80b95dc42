"""One HTML page from a run's folder.

The data is untrusted: a column name, a level, a path or a title may hold anything. Texts reach the page in
two ways only: through Jinja with autoescape always on, or as JSON in one script element that is never run,
from which the page's own script makes text nodes. A content security policy allows the two scripts of the
page by their hashes and nothing else, so what slipped through would still not run or load anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infolake.errors import InfolakeError, MissingExtraError, NoInputError, OutputError
from infolake.reports import associations, charts, facts, meanings, questions
from infolake.reports.drilldowns import Drilldowns, Load
from infolake.reports.saved import Run, read_run
from infolake.reports.text import visible

if TYPE_CHECKING:
    from jinja2 import Template

HERE = Path(__file__).parent
UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def render(run_folder: str | Path, *, load: Load | None = None) -> str:
    """Return the report of a run as one self-contained HTML page.

    Parameters
    ----------
    run_folder : str or Path
        Holds ``run.json``, ``scores.parquet``, ``associations/*.parquet`` and ``counts/``. Nothing else is
        read, and nothing of it is computed again: a page can be made long after its run.
    load : callable, optional
        Reads ``counts/`` and returns a value with ``table(x, y, missing=...)``; by default
        :func:`infolake.load`.

    Returns
    -------
    str
        HTML. The same folder gives the same text.

    Raises
    ------
    MissingExtraError
        When bokeh or jinja2 is not installed.
    NoInputError
        When the folder does not exist or holds no ``run.json``.
    CorruptFileError
        When a saved result cannot be read.
    """
    folder = Path(run_folder)
    if not folder.is_dir():
        raise NoInputError("no such folder", where=str(folder), expected="the output folder of a run")
    template = _template()
    run = read_run(folder)
    return template.render(**_content(run, _drilldowns(run, load or _load)))


def write(run_folder: str | Path, output: str | Path | None = None, *, load: Load | None = None) -> Path:
    """Write the report of a run; a reader sees the old page or the new one, never half of it.

    Parameters
    ----------
    run_folder : str or Path
        As for :func:`render`.
    output : str or Path, optional
        The file to write; by default ``report.html`` in the run's folder.
    load : callable, optional
        As for :func:`render`.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    OutputError
        When the file cannot be written; and the errors of :func:`render`.
    """
    target = Path(output) if output is not None else Path(run_folder) / "report.html"
    text = render(run_folder, load=load)
    try:
        _replace(target, text.encode("utf-8"))
    except OSError as error:
        raise OutputError("the report cannot be written", where=str(target), found=str(error)) from error
    return target


def _replace(target: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=".report-", suffix=".tmp", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(target)
        _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _load(path: Path) -> Any:
    from infolake.summaries.storage import load

    return load(path)


def _drilldowns(run: Run, load: Load) -> Drilldowns:
    path = run.folder / "counts"
    if not path.exists():
        return Drilldowns(None, "the run saved no counts", run.in_shards)
    try:
        return Drilldowns(load(path), in_shards=run.in_shards)
    except InfolakeError as error:
        return Drilldowns(None, f"the saved counts cannot be read: {visible(error.what, 160)}")


def _content(run: Run, drilldowns: Drilldowns) -> dict[str, Any]:
    cells = [associations.view(a, drilldowns, f"a{k}") for k, a in enumerate(run.associations)]
    pairs = [questions.view(q, drilldowns, f"q{k}") for k, q in enumerate(run.questions)]
    payload = {
        "questions": pairs,
        "associations": cells,
        "tables": drilldowns.tables,
        "palettes": {"light": charts.palette(charts.LIGHT), "dark": charts.palette(charts.DARK)},
    }
    return {
        "title": visible(run.title, 160),
        "questions": pairs,
        "associations": cells,
        "meanings": [(visible(a), visible(b, 2000)) for a, b in meanings.paragraphs(_numbers(run))],
        "tiles": facts.tiles(run),
        "notices": facts.notices(run),
        "ledger": facts.ledger(run),
        "inputs": facts.inputs(run),
        "groups": facts.groups(run),
        "bins": facts.bins(run),
        "kept": facts.kept(run),
        "job": facts.job(run),
        **_assets(),
        "data": _script_json(payload),
    }


def _numbers(run: Run) -> Iterator[str]:
    for question in run.questions:
        yield from question.measures
    for association in run.associations:
        yield from association.measures
    if any(name.endswith("_certified_low") for q in run.questions for name in q.columns):
        yield "certified low and high"
    for question in run.questions:
        facts = ("p_value", "p_corrected", "bias", "thin", "n", "n_missing", "n_effective")
        yield from (c for c in facts if c in question.columns)
        if question.intervals is not None:
            yield "interval"


def _script_json(payload: object) -> Any:
    """Return JSON that cannot end its script element and holds only ASCII."""
    from markupsafe import Markup

    text = json.dumps(payload, allow_nan=False, separators=(",", ":"))
    for character, escaped in UNSAFE.items():
        text = text.replace(character, escaped)
    return Markup(text)  # noqa: S704


@cache
def _template() -> Template:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError(package="jinja2", extra="report") from error
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


@cache
def _assets() -> dict[str, Any]:
    """Our own script and style and Bokeh's, and the policy that allows exactly them."""
    from markupsafe import Markup

    scripts = [charts.bokeh_script(), (HERE / "report.js").read_text("utf-8")]
    if any("</script" in s.lower() or "<!--" in s for s in scripts):
        raise InfolakeError("a script of the page would end its own element")
    hashes = " ".join(f"'sha256-{_hash(s)}'" for s in scripts)
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return {
        "policy": policy,
        "bokeh_script": Markup(scripts[0]),  # noqa: S704
        "page_script": Markup(scripts[1]),  # noqa: S704
        "style": Markup((HERE / "report.css").read_text("utf-8")),  # noqa: S704
    }


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
