"""Tables for people: aligned, short numbers, nothing that moves a terminal's cursor."""

import pandas as pd

from infolake.jobs import tables


def test_a_table_is_aligned_and_has_units():
    frame = pd.DataFrame({"x": ["a", "bb"], "n": [1000, 2], "mi": [0.123456, 12.3456], "thin": [True, False]})
    frame.attrs["units"] = {"mi": "bits"}
    assert tables.text(frame).splitlines() == [
        "x       n      mi  thin",
        "             bits",
        "a   1,000  0.1235  yes",
        "bb      2   12.35  no",
    ]


def test_no_units_no_line_for_them():
    assert tables.text(pd.DataFrame({"a": [1]})) == "a\n1"


def test_rows_left_out_are_told():
    text = tables.text(pd.DataFrame({"a": range(1200)}), rows=2)
    assert text.splitlines() == ["a", "0", "1", "… and 1,198 more rows"]


def test_an_empty_frame():
    assert tables.text(pd.DataFrame({"a": [], "b": []})) == "a  b"
    assert tables.text(pd.DataFrame()) == ""


def test_hostile_values_are_escaped():
    frame = pd.DataFrame({"a\x1b[31m": ["\x1b]0;x\x07", "a\nb", "\u202ex", None]})
    text = tables.text(frame)
    assert len(text.splitlines()) == 5
    assert not any(c in text for c in "\x1b\x07\u202e")


def test_wide_characters_take_two_places():
    lines = tables.text(pd.DataFrame({"a": ["東京", "x"], "b": [1, 2]})).splitlines()
    assert lines[1] == "東京  1"
    assert lines[2] == "x     2"


def test_numbers_keep_four_digits():
    assert [tables.number(v) for v in (0.0, 1.0, 0.99999, 999.96, 1e-5, 1e12, -0.5, float("inf"))] == [
        "0.000",
        "1.000",
        "1.0000",
        "1000.0",
        "1.000e-05",
        "1.000e+12",
        "-0.5000",
        "inf",
    ]
