"""The page as a document: structure, sections, safety of every text, equal bytes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import html5lib
import pandas as pd
import pyarrow.parquet as pq
import pytest
from payloads import EVERY
from report_runs import MEASURES, Entry, FrameCounts, make_run, run_facts

from infolake.errors import CorruptFileError, MissingExtraError, NoInputError, OutputError
from infolake.reports import page, render, write

Run = tuple[Path, FrameCounts]
HERE = Path(page.__file__).parent
XHTML = "{http://www.w3.org/1999/xhtml}"


def parse(text: str):
    parser = html5lib.HTMLParser(strict=True)
    return parser.parse(text)


def payload(text: str) -> dict:
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]
    )


def page_of(run: Run) -> str:
    folder, counts = run
    return render(folder, load=lambda _: counts)


def words(tree) -> str:
    return " ".join("".join(tree.itertext()).split())


@pytest.fixture
def html(run: Run, without_bokeh_script: None) -> str:
    return page_of(run)


def test_is_valid_html_with_every_section(html: str) -> None:
    tree = parse(html)
    ids = [e.get("id") for e in tree.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    assert {
        "q0",
        "q1",
        "a0",
        "meaning",
        "source",
        "q0-heat",
        "q1-rank",
        "a0-bars",
        "q0-table",
        "pair",
        "data",
    } <= set(ids)
    assert [e.text for e in tree.iter(f"{XHTML}h1")] == [None]
    assert "New York flights" in words(tree.find(f".//{XHTML}h1"))


def test_loads_nothing_and_says_so_in_its_policy(html: str) -> None:
    tree = parse(html)
    policy = next(e.get("content") for e in tree.iter(f"{XHTML}meta") if e.get("http-equiv"))
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert not re.search(r"script-src[^;]*unsafe", policy)
    addresses = [
        e.get(a)
        for e in tree.iter()
        for a in ("src", "href", "action", "srcset", "data", "poster")
        if e.get(a)
    ]
    assert all(a.startswith("#") or a == "data:," for a in addresses), addresses
    assert not [a for e in tree.iter() for a in e.attrib if a.startswith("on")]


def test_the_policy_allows_exactly_the_scripts_of_the_page(run: Run) -> None:
    text = page_of(run)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 2
    allowed = re.findall(r"sha256-([A-Za-z0-9+/=]+)", text.partition("<style>")[0])
    assert allowed == [page._hash(s) for s in scripts]


def test_the_same_folder_gives_the_same_bytes(run: Run) -> None:
    assert page_of(run) == page_of(run)


def test_bytes_do_not_depend_on_the_process(tmp_path: Path, run: Run) -> None:
    code = "import sys; from pathlib import Path; from infolake.reports import write\n"
    code += "write(sys.argv[1], sys.argv[2], load=lambda p: None)"
    pages = []
    for seed in "12":
        target = tmp_path / f"{seed}.html"
        subprocess.run(
            [sys.executable, "-c", code, run[0], target],
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )
        pages.append(target.read_bytes())
    assert pages[0] == pages[1]


def test_says_what_each_measure_means(html: str) -> None:
    guide = words(parse(html).find(f".//{XHTML}dl[@class='meanings']"))
    for title in (
        "Mutual information",
        "Normalized mutual information",
        "Adjusted mutual information",
        "Bias",
        "Thin",
        "n missing",
    ):
        assert title in guide
    assert "Pointwise mutual information" in guide
    assert "Normalized pointwise mutual information" in guide


def test_scores_stand_beside_n_missing_bias_and_units(html: str, run: Run) -> None:
    table = payload(html)["questions"][0]["table"]
    titles = [(c["title"], c["unit"]) for c in table["columns"]]
    assert titles == [
        ("Column x", ""),
        ("Column y", ""),
        ("Mutual information", "bits"),
        ("Normalized mutual information", ""),
        ("Adjusted mutual information", ""),
        ("Bias", "bits"),
        ("n", "rows"),
        ("n missing", "rows"),
        ("Thin", ""),
    ]
    saved = pq.read_table(run[0] / "scores.parquet").to_pydict()
    assert table["columns"][2]["v"] == saved["mutual_information"][: len(table["columns"][2]["v"])]


def test_a_number_that_could_not_be_computed_has_its_reason(
    tmp_path: Path, without_bokeh_script: None
) -> None:
    frame = pd.DataFrame({"x": ["a", None], "y": [None, "b"], "z": ["c", "d"]}, dtype=object)
    folder = tmp_path / "run"
    counts = make_run(folder, frame)
    columns = payload(page_of((folder, counts)))["questions"][0]["table"]["columns"]
    texts = [t.strip() for t in columns[2]["t"]]
    assert "n/a (no rows)" in texts
    assert all(t for c in columns if c["kind"] == "number" for t in c["t"])
    assert columns[2]["v"][texts.index("n/a (no rows)")] is None


def test_the_ledger_adds_up_and_a_broken_one_is_said(
    tmp_path: Path, frame: pd.DataFrame, without_bokeh_script: None
) -> None:
    good = run_facts(
        600,
        "t",
        ledger={"rows_footer": 600, "rows_read": 600, "rows_counted": 590, "left_out": {"filtered": 10}},
    )
    text = minimal(tmp_path / "good", good)
    assert "adds up" in text
    assert "left out by the job&#39;s filters" in text
    bad = good | {"ledger": {"rows_footer": 600, "rows_read": 599, "rows_counted": 590, "left_out": {}}}
    assert "The row ledger does not add up" in minimal(tmp_path / "bad", bad)


def test_a_partial_run_is_stamped_and_files_are_cut(tmp_path: Path, without_bokeh_script: None) -> None:
    inputs = [{"path": f"part-{k}.parquet", "size": 1000, "rows": 7} for k in range(73)]
    text = minimal(tmp_path, run_facts(1, "t", status="partial", exit_code=4, inputs=inputs))
    assert "INCOMPLETE" in text
    assert text.count('class="path"') == 50
    assert "… and 23 more files" in text
    assert "73 files, 73.0 kB, 511 rows" in text


def test_facts_that_were_not_recorded_are_never_blank(tmp_path: Path, without_bokeh_script: None) -> None:
    text = minimal(tmp_path, {})
    assert text.count("n/a (not recorded)") >= 4
    parse(text)


def minimal(folder: Path, facts: dict) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(facts), "utf-8")
    return render(folder)


def shape(text: str) -> tuple[Counter, Counter]:
    tree = parse(text)
    elements = Counter(e.tag for e in tree.iter())
    return elements, Counter((e.tag, name) for e in tree.iter() for name in e.attrib)


@pytest.mark.parametrize("part", ["wide", "pairs"])
def test_hostile_data_leaves_the_structure_alone(
    part: str, hostile: Run, benign: Run, without_bokeh_script: None
) -> None:
    found, expected = (shape(page_of((folder / part, counts))) for folder, counts in (hostile, benign))
    assert found == expected


@pytest.mark.parametrize("word", EVERY, ids=lambda w: ascii(w)[:30])
def test_a_hostile_title_name_or_status_is_text(
    word: str, tmp_path: Path, without_bokeh_script: None
) -> None:
    facts = {
        "title": word or "t",
        "name": word,
        "status": word or "s",
        "exit_code": word,
        "scheduler": word or "s",
    }
    expected = shape(minimal(tmp_path, dict.fromkeys(facts, "word")))
    text = minimal(tmp_path, facts)
    assert shape(text) == expected
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", text)


def test_what_is_embedded_is_ascii_json_that_cannot_close_its_element(
    hostile: Run, without_bokeh_script: None
) -> None:
    text = page_of((hostile[0] / "wide", hostile[1]))
    raw = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1]
    assert raw.isascii()
    assert not set(raw) & set("<>&")
    assert json.loads(raw)["questions"]


def test_templates_and_scripts_never_trust_text() -> None:
    template = (HERE / "report.html").read_text("utf-8")
    assert not re.search(r"\|\s*safe\b|autoescape|\|\s*tojson", template)
    script = (HERE / "report.js").read_text("utf-8")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|setTimeout", script
    )
    python = "".join(p.read_text("utf-8") for p in HERE.glob("*.py"))
    assert "CustomJS" not in python
    assert "{safe}" not in python


def test_write_replaces_the_page_and_leaves_nothing_else(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    target.write_text("old", "utf-8")
    assert write(run[0], target, load=lambda _: run[1]) == target
    assert target.read_text("utf-8").startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [target]


def test_write_puts_the_page_beside_the_results(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}", "utf-8")
    assert write(tmp_path) == tmp_path / "report.html"


def test_a_page_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}", "utf-8")
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path, tmp_path / "absent" / "report.html")


@pytest.mark.parametrize(
    ("content", "error"),
    [(None, NoInputError), ("{", CorruptFileError), ("[]", CorruptFileError)],
    ids=["absent", "cut", "list"],
)
def test_a_folder_that_is_no_run(content: str | None, error: type, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content, "utf-8")
    with pytest.raises(error):
        render(tmp_path)


def test_no_folder_and_a_damaged_result(tmp_path: Path) -> None:
    with pytest.raises(NoInputError):
        render(tmp_path / "absent")
    (tmp_path / "run.json").write_text("{}", "utf-8")
    (tmp_path / "scores.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(CorruptFileError):
        render(tmp_path)


@pytest.mark.parametrize("package", ["jinja2", "bokeh"])
def test_a_missing_extra_is_named(package: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    page._template.cache_clear()
    page._assets.cache_clear()
    with pytest.raises(MissingExtraError, match=rf"{package}.*infolake\[report\]"):
        page_of(run)


def test_counts_that_cannot_be_read_leave_a_reason(run: Run, without_bokeh_script: None) -> None:
    def broken(path: Path) -> FrameCounts:
        raise CorruptFileError("damaged <counts>", where=str(path))

    table = payload(render(run[0], load=broken))["questions"][0]["table"]
    assert set(table["drill"]) == {-1}
    assert table["reasons"] == ["the saved counts cannot be read: damaged <counts>"]


def test_questions_and_associations_stand_in_the_order_of_the_job(
    tmp_path: Path, frame: pd.DataFrame, without_bokeh_script: None
) -> None:
    job = {"associations": [{"name": "z"}, {"name": "a"}]}
    cells = [("a", "origin", "carrier"), ("z", "origin", "late")]
    counts = make_run(tmp_path, frame, [Entry("second"), Entry("first", target="late")], cells, job=job)
    data = payload(page_of((tmp_path, counts)))
    assert [q["name"] for q in data["questions"]] == ["second", "first"]
    assert [a["name"] for a in data["associations"]] == ["z", "a"]


def test_measures_by_alias_and_an_entry_without_a_list(
    tmp_path: Path, frame: pd.DataFrame, without_bokeh_script: None
) -> None:
    counts = make_run(tmp_path, frame, [Entry("a", measures=("mi", "ami")), Entry("b", measures=())])
    questions = payload(page_of((tmp_path, counts)))["questions"]
    assert [m["title"] for m in questions[0]["measures"]] == [
        "Mutual information",
        "Adjusted mutual information",
    ]
    assert len(questions[1]["measures"]) == len(MEASURES)
