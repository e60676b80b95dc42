"""The command line: results on stdout, progress and messages on stderr, exit codes that schedulers know."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from infolake.errors import FIELDS, InfolakeError, OutputError, UsageError, nearest, printable

if TYPE_CHECKING:
    import pandas as pd

    # Generic in newer versions of click only.
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType

POLICIES = ("pairwise", "level", "listwise", "error")
SCHEDULERS = ("threads", "processes", "sync")
SHOWN = 10
BROKEN_PIPE = 141

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass
class Session:
    """What the options that every command has say."""

    debug: bool = False
    quiet: bool = False
    address: str | None = None
    scheduler: str | None = None
    workers: int | None = None
    memory_limit: str | None = None

    def say(self, text: str) -> None:
        """Tell people what goes on."""
        if not self.quiet and sys.stderr.isatty():
            click.echo(text, err=True)


class Terminated(SystemExit):
    """SIGTERM arrived."""


class Group(click.Group):
    """A group whose errors become one block on stderr and an exit code, also below ``dask``."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; every way to fail has its exit code."""
        session = ctx.obj = Session()
        try:
            with _terminable(), _spoken_warnings():
                value = super().invoke(ctx)
                sys.stdout.flush()
                return value
        except (click.exceptions.Exit, click.ClickException):
            raise
        except BaseException as error:
            raise click.exceptions.Exit(_failed(error, session)) from None


def _failed(error: BaseException, session: Session) -> int:
    """Say why a command failed; return the exit code."""
    if isinstance(error, Terminated):
        return 143
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return 130
    if isinstance(error, BrokenPipeError):
        # Python would complain again when it flushes stdout at the end.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if session.debug:
        traceback.print_exception(error)
    if isinstance(error, InfolakeError):
        click.echo(_block(error), err=True)
        return error.exit_code
    click.echo(_bug(error, session), err=True)
    return 1


def _block(error: InfolakeError) -> str:
    what, *more = error.what.splitlines() or [type(error).__name__]
    lines = [f"error: {printable(what, 400)}", *(printable(line, 600) for line in more)]
    lines += [
        f"  {name + ':':<10}{printable(error.fields[name], 2000)}"
        for name in FIELDS
        if error.fields.get(name)
    ]
    return "\n".join(lines)


def _bug(error: BaseException, session: Session) -> str:
    what = f"error: internal: {type(error).__name__}: {printable(error, 300)}"
    if session.debug:
        return what
    with suppress(OSError):
        handle, path = tempfile.mkstemp(prefix="infolake-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.writelines(traceback.format_exception(error))
        return f"{what} (this is a bug; the traceback is in {path})"
    return f"{what} (this is a bug; run again with --debug)"


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that a run ends as it does on Ctrl-C."""

    def stop(*_: Any) -> None:
        raise Terminated(143)

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _spoken_warnings() -> Iterator[None]:
    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        click.echo(f"warning: {printable(message, 400)}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


class Catalogued(ParamType):
    """The name of something in a catalogue, which is only loaded when a name is given."""

    def __init__(self, name: str, known: Callable[[], Sequence[str]]) -> None:
        self.name = name
        self.known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name, or say which name is nearest."""
        known = self.known()
        if value not in known:
            self.fail(f"unknown {self.name} {printable(value)!r}: {nearest(str(value), known)}", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:  # noqa: ARG002
        """Return the names that begin like this."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in self.known() if name.startswith(incomplete)]


def _measures() -> Sequence[str]:
    from infolake.jobs.job import measure_names

    return measure_names()


def _estimators() -> Sequence[str]:
    from infolake.jobs.job import estimator_names

    return estimator_names()


def _choices(keyword: str) -> Callable[[], Sequence[str]]:
    def known() -> Sequence[str]:
        from infolake.jobs.job import choices

        return choices(keyword)

    return known


class Estimator(Catalogued):
    """An entropy estimator, with its options spelled behind a colon: ``nsb:support=20``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name, or say what is wrong with it."""
        from infolake.measures import estimators

        name = super().convert(value.partition(":")[0], param, ctx)
        try:
            estimators.get(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)
        return value if ":" in value else name


class Support(ParamType):
    """Which levels an entropy estimator counts as possible."""

    name = "support"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return "observed", "table" or a number of levels."""
        if value in ("observed", "table"):
            return value
        if not (str(value).isascii() and str(value).isdigit() and int(value) >= 1):
            self.fail(f"{printable(value)!r} is none of observed, table or a number of levels", param, ctx)
        return int(value)


MEASURE = Catalogued("measure", _measures)
ESTIMATOR = Estimator("estimator", _estimators)


class Base(ParamType):
    """The base of the logarithm."""

    name = "base"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return 2, "e", a number, or the name of a unit."""
        from infolake.measures.catalogue import unit_name

        try:
            base = _number(value) if isinstance(value, str) else value
            unit_name(base)
        except ValueError:
            self.fail(
                f"{printable(value)!r} is no base: 2, e, 10, bits, nats, hartleys or a number above 1",
                param,
                ctx,
            )
        return base


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


class Bins(ParamType):
    """``16``, ``exact``, or a rule for each column: ``a=16,b=exact``."""

    name = "bins"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return what il.count takes."""
        if not isinstance(value, str):
            return value
        if "=" not in value:
            return self._rule(value, param, ctx)
        pairs = [part.rpartition("=") for part in value.split(",")]
        return {column: self._rule(rule, param, ctx) for column, _, rule in pairs}

    def _rule(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if text == "exact":
            return text
        if not (text.isascii() and text.isdigit() and int(text) >= 1):
            self.fail(f"{printable(text)!r} is neither a number of bins nor exact", param, ctx)
        return int(text)


def _kept(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if not isinstance(ctx.obj, Session):
        ctx.obj = Session()
    setattr(ctx.obj, str(param.name), value)


def _with_session(*options: Any) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _option(*names: str, **settings: Any) -> Any:
    return click.option(*names, expose_value=False, callback=_kept, **settings)


telling = _with_session(
    _option("--debug", is_flag=True, help="Show tracebacks."),
    _option("--quiet", is_flag=True, help="No progress, no messages but errors."),
)
computing = _with_session(
    _option(
        "--address",
        metavar="URL",
        envvar="DASK_SCHEDULER_ADDRESS",
        help="A Dask scheduler: tcp://... or tls://...",
    ),
    _option(
        "--scheduler",
        type=click.Choice(SCHEDULERS),
        help="Compute in this process or in a pool of processes.",
    ),
    _option("--workers", type=click.IntRange(min=1), help="Start a cluster of N processes on this machine."),
    _option("--memory-limit", metavar="SIZE", help="A bound, like 2GiB: of each worker, or of this process."),
    telling,
)
saving_option = click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write a .csv, .json or .parquet file."
)
top_option = click.option("--top", type=click.IntRange(min=1), help="Only the first N rows.")
base_option = click.option(
    "--base", type=Base(), default="2", show_default=True, help="2 bits, e nats, 10 hartleys."
)
missing_option = click.option("--missing", type=click.Choice(POLICIES), default="pairwise", show_default=True)
TEST = Catalogued("test", _choices("p_values"))
INTERVAL = Catalogued("interval", _choices("intervals"))
CORRECTION = Catalogued("correction", _choices("correction"))


def inference_options(command: Any) -> Any:
    """Add the options that ask for p-values and intervals."""
    for option in reversed(
        (
            click.option(
                "--p-values", type=TEST, metavar="TEST", help="g, g_williams, chi_squared or permutation."
            ),
            click.option("--intervals", type=INTERVAL, metavar="KIND", help="delta or bootstrap."),
            click.option("--level", type=float, default=0.95, show_default=True, help="Of the intervals."),
            click.option("--correction", type=CORRECTION, metavar="KIND", help="bh, by, bonferroni or holm."),
            click.option("--permutations", type=click.IntRange(min=1), default=999, show_default=True),
            click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
        )
    ):
        command = option(command)
    return command


class Limits(ParamType):
    """``1000``, or a number for each column: ``a=1000,b=50``."""

    name = "levels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return what il.count takes."""
        if not isinstance(value, str):
            return value
        if "=" not in value:
            return self._limit(value, param, ctx)
        pairs = [part.rpartition("=") for part in value.split(",")]
        return {column: self._limit(limit, param, ctx) for column, _, limit in pairs}

    def _limit(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if not (text.isascii() and text.isdigit() and int(text) >= 1):
            self.fail(f"{printable(text)!r} is not a number of levels", param, ctx)
        return int(text)


levels_option = click.option(
    "--max-levels",
    type=Limits(),
    metavar="LIMIT",
    help="Most frequent levels to keep, the rest in one bucket: 1000, or a=1000,b=50.",
)
bins_option = click.option("--bins", type=Bins(), metavar="RULE", help="16, exact, or a=16,b=exact.")


@click.group(
    "infolake", cls=Group, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.version_option(package_name="infolake", message="%(prog)s %(version)s")
def cli() -> None:
    """Measure how much variables tell each other, on data too big for memory."""


@contextmanager
def _computing(session: Session) -> Iterator[None]:
    from infolake.reduction import cluster

    address = session.address
    chosen = (session.scheduler, session.workers)
    if address and any(chosen) and address == os.environ.get("DASK_SCHEDULER_ADDRESS"):
        address = None  # what the command line says stands above the environment
    with (
        cluster.connect(
            address, scheduler=session.scheduler, workers=session.workers, memory_limit=session.memory_limit
        ),
        _progress(session) as progress,
        cluster.reporting(progress),
    ):
        yield


@contextmanager
def _progress(session: Session) -> Iterator[Callable[[int, int], None] | None]:
    if session.quiet or not sys.stderr.isatty():
        yield None
        return
    width = 0

    def show(done: int, total: int) -> None:
        nonlocal width
        text = f"counting: {done:,} of {total:,} tasks ({100 * done // max(total, 1)} %)"
        click.echo("\r" + text.ljust(width), err=True, nl=False)
        width = len(text)

    try:
        yield show
    finally:
        if width:
            click.echo("\r" + " " * width + "\r", err=True, nl=False)


@cli.command("run")
@click.argument("job", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", help="Default: out/NAME.")
@computing
@click.pass_obj
def run_command(session: Session, /, job: Path, output: Path | None) -> None:
    """Run a job file: count once, answer every question, write files and a report.

    Tables too large to be held are counted in shards, in scans of their own: see infolake plan.
    """
    from infolake.jobs import run

    with _computing(session):
        finished = run.run(job, output, say=session.say)
    for name, frame in finished.scores.items():
        _print_titled(name, frame)
    for name, frame in finished.associations.items():
        _print_titled(name, frame, finished.n_rows.get(name))
    ledger = finished.ledger
    left_out = ", ".join(f"{n:,} {reason}" for reason, n in ledger.left_out.items() if n) or "none"
    click.echo(f"rows: {ledger.rows_read:,} read, {ledger.rows_counted:,} counted, left out: {left_out}")
    click.echo(f"report: {printable(finished.report, 4000)}")


def _print_titled(name: str, frame: pd.DataFrame, n_rows: int | None = None) -> None:
    from infolake.jobs import tables

    click.echo(f"{printable(name)}\n{tables.text(frame, rows=SHOWN, of=n_rows)}\n")


@cli.command("score")
@click.argument("data", nargs=-1, required=True)
@click.option("--target", metavar="COLUMN", help="Score every column against this one.")
@click.option("--columns", metavar="A,B,...", help="Only these columns.")
@click.option("--measure", "measures", type=MEASURE, multiple=True, help="May be given several times.")
@click.option("--weights", metavar="COLUMN", help="How much each row counts.")
@click.option("--entropy", type=ESTIMATOR, default="plug_in", help="The estimator of entropies.")
@click.option("--support", type=Support(), metavar="LEVELS", help="observed, table, or a number of levels.")
@inference_options
@base_option
@missing_option
@bins_option
@levels_option
@top_option
@saving_option
@computing
@click.pass_obj
def score_command(
    session: Session,
    /,
    *,
    data: tuple[str, ...],
    target: str | None,
    columns: str | None,
    measures: tuple[str, ...],
    top: int | None,
    output: Path | None,
    **options: Any,
) -> None:
    """Score pairs of columns of DATA: a file, folder, glob or URL, or several."""
    import infolake as il

    _check_output(output)
    chosen: dict[str, Any] = {"measures": measures} if measures else {}
    names = None if columns is None else _names(columns)
    with _computing(session):
        frame = il.score(_data(data), target=target, columns=names, **chosen, **options)
    _give(frame if top is None else _first(frame, top), output)


@cli.command("associations")
@click.argument("data")
@click.argument("x")
@click.argument("y")
@click.option("--measure", "measures", type=MEASURE, multiple=True, help="May be given several times.")
@click.option("--min-count", type=click.IntRange(min=1), default=1, help="Only cells with so many rows.")
@click.option("--sort-by", metavar="COLUMN", help="Default: the first measure.")
@base_option
@missing_option
@bins_option
@levels_option
@top_option
@saving_option
@computing
@click.pass_obj
def associations_command(
    session: Session,
    /,
    *,
    data: str,
    x: str,
    y: str,
    measures: tuple[str, ...],
    output: Path | None,
    **options: Any,
) -> None:
    """Show which values of X and Y of DATA occur together more, or less, than by chance."""
    import infolake as il
    from infolake.analyses.associations import association_frames
    from infolake.jobs import saving

    _check_output(output)
    chosen: dict[str, Any] = {"measures": measures} if measures else {}
    with _computing(session):
        if output is not None and output.suffix.lower() == ".parquet":
            saving.write_frames(association_frames(data, x, y, **chosen, **options), output)
            return
        frame = il.associations(data, x, y, **chosen, **options)
    _give(frame, output)


@cli.command("plan")
@click.argument("job", type=click.Path(path_type=Path))
@computing
@click.pass_obj
def plan_command(session: Session, job: Path) -> None:
    """Show what a job will read, count and hold, before anything runs."""
    from infolake.jobs import run
    from infolake.jobs.job import load

    with _computing(session):
        click.echo(str(run.plan(load(job))))


@cli.command("init")
@click.argument("data", nargs=-1, required=True)
@click.option("--output", type=click.Path(path_type=Path), metavar="JOB.yaml", help="Default: stdout.")
@telling
def init_command(data: tuple[str, ...], output: Path | None) -> None:
    """Write a commented job file for DATA, ready to run."""
    from infolake.jobs import beginning, saving

    text = beginning.job_text(_data(data), output)
    if output is None:
        click.echo(text, nl=False)
        return
    if output.exists():
        where = printable(output, 400)
        raise OutputError(
            "the job file exists", where=where, effect="it is as it was", next="name another file"
        )
    saving.write_bytes(output, text.encode())
    click.echo(f"run it: infolake run {printable(output, 400)}", err=True)


@cli.command("measures")
@click.argument("name", required=False, type=MEASURE)
@saving_option
@telling
def measures_command(name: str | None, output: Path | None) -> None:
    """List the measures, or tell about one."""
    from infolake.measures import catalogue

    if name is None:
        frame = catalogue.measures().reset_index()
        shown = ["name", "aliases", "formula", "range", "unit", "per_cell", "reference"]
        bounds = zip(frame["lowest"], frame["highest"], strict=True)
        frame["range"] = [f"{_bound(low)} to {_bound(high)}" for low, high in bounds]
        _give(frame if output else frame[shown], output)
        return
    _describe(name)


def _describe(name: str) -> None:
    import inspect

    from infolake.measures import catalogue

    measure = catalogue.get(name)
    facts: dict[str, Any] = {
        "aliases": ", ".join(measure.aliases),
        "formula": measure.formula,
        "bounds": measure.bounds,
        "unit": measure.unit,
        "best": measure.best,
        "per cell": measure.per_cell,
        "symmetric": measure.symmetric,
    }
    lines = [f"  {key + ':':<11}{_told(value)}" for key, value in facts.items()]
    lines.append(f"  {'reference:':<11}{measure.reference}")
    click.echo("\n".join([measure.name, *lines, "", inspect.getdoc(measure.function) or ""]))


def _bound(value: float | None) -> str:
    return f"{value:g}" if value is not None and value == value else "any"  # noqa: PLR0124


def _told(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _data(data: tuple[str, ...]) -> str | list[str]:
    return data[0] if len(data) == 1 else list(data)


def _names(text: str) -> list[str]:
    """Return the names in a list with commas; a doubled comma stands for one in a name."""
    return [name.replace("\0", ",") for name in text.replace(",,", "\0").split(",") if name]


def _check_output(output: Path | None) -> None:
    """Refuse a file that cannot be written, before anything is read."""
    from infolake.jobs import saving

    if output is None:
        return
    if output.suffix.lower() not in saving.ENDINGS:
        found = printable(output.name)
        raise UsageError("the output has no known ending", expected=", ".join(saving.ENDINGS), found=found)
    if not output.parent.is_dir():
        what = "the folder of the output does not exist"
        raise OutputError(what, where=printable(output.parent, 400), effect="nothing was read")
    saving.check_writable(output.parent)


def _first(frame: pd.DataFrame, top: int) -> pd.DataFrame:
    first = frame.head(top)
    first.attrs.update(frame.attrs)
    return first


def _give(frame: pd.DataFrame, output: Path | None) -> None:
    from infolake.jobs import saving, tables

    if output is None:
        click.echo(tables.text(frame))
    else:
        saving.write_frame(frame, output)


def main() -> None:
    """Run the command line."""
    cli(prog_name="infolake")


if __name__ == "__main__":
    main()
