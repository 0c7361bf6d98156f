"""A study's numbers survive the JSON, and its page is made from all files in order."""

import json

import pytest

from shared.evaluation.results import markdown_table, save_result, with_interval, write_page


def test_the_page_has_a_section_for_every_result_in_the_order_of_names(tmp_path):
    save_result(tmp_path, "b", {"title": "Second", "rows": [{"x": 2}]})
    first = save_result(tmp_path, "a", {"title": "Ünder", "rows": [{"x": 1}]})
    assert json.loads(first.read_text("utf-8")) == {"title": "Ünder", "rows": [{"x": 1}]}
    page = write_page(tmp_path, "Chapter", lambda content: f"x = {content['rows'][0]['x']}")
    assert page == tmp_path / "RESULTS.md"
    start = "# Chapter: results\n\nWritten by `study.py` from `results/*.json`.\n\n"
    assert page.read_text("utf-8") == start + "## Ünder\n\nx = 1\n\n## Second\n\nx = 2\n"


def test_a_number_that_json_lacks_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        save_result(tmp_path, "a", {"title": "", "rows": [{"x": float("nan")}]})


def test_tables_and_intervals_are_text():
    table = markdown_table([{"name": "vote", "n": "8"}, {"name": "best", "n": "16"}])
    assert table == "| name | n |\n| --- | --- |\n| vote | 8 |\n| best | 16 |"
    assert with_interval(0.5, 0.25, 1) == "0.500 [0.250, 1.000]"
    assert with_interval(0.5, -0.25, 1, sign="+") == "+0.500 [-0.250, +1.000]"
