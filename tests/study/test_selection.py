"""Which published rows a study means: the check of the file and the comparison select alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from respine import library, published, study
from respine.errors import InputError
from respine.study.selection import select

ROWS = [
    {"id": "a", "study": "North", "year": "2026", "endpoint": "MADRS change", "time_h": "24"},
    {"id": "b", "study": "North", "year": "2026", "endpoint": "MADRS change", "time_h": "168"},
    {"id": "c", "study": "North", "year": "", "endpoint": "response", "time_h": ""},
    {"id": "d", "study": "Northern", "year": "2026", "endpoint": "MADRS change", "time_h": "24"},
]


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({"study": "North"}, "abc"),
        ({"study": "north", "year": 2026}, "abc"),
        ({"study": "North 2026"}, "ab"),
        ({"study": "North", "year": 2025}, "c"),
        ({"id": "b"}, "b"),
        ({"text": "MADRS change", "time": 24.0}, "ad"),
        ({"study": "North", "text": "MADRS change", "time": 24.2}, "a"),  # within 1 %
        ({"study": "North", "text": "MADRS change", "time": 24.36}, ""),  # within 2 %
        ({"text": "response", "time": 5.0}, "c"),
        ({"year": 2026}, "abcd"),
    ],
)
def test_rows_are_selected_by_all_that_is_given(wanted: dict, ids: str) -> None:
    assert "".join(row["id"] for row in select(ROWS, **wanted)) == ids


LINK = """
compare:
  study: Murrough
  year: 2013
  arms: {saline: midazolam}
  leave_out: [ketamine - midazolam]
  rows:
    - {endpoint: response-7d, arm: ketamine, row: MADRS score, time: %s}
"""


def _study(folder: Path, time: str) -> Path:
    text = study.template().split("# compare:")[0]
    text += "  - {name: response-7d, of: MADRS, kind: response, drop: 50 %, at: 7 d}\n" + LINK % time
    file = folder / "mine.yaml"
    file.write_text(text)
    return file


def _text_at_24_h() -> str:
    rows = select(library.rows("evidence", "clinical"), study="Murrough", year=2013, time=24.0)
    return next(row["endpoint"] for row in rows if row["arm"] == "ketamine" and row["measure"] == "change")


def test_a_link_that_passes_the_check_is_the_one_that_is_compared(tmp_path: Path) -> None:
    """A row at 24 h that was linked to another endpoint at 24.36 h passed the check and was then compared as its own."""
    text = _text_at_24_h()
    far, near = _study(tmp_path, "24.36 h"), tmp_path / "near.yaml"
    far.write_text(far.read_text().replace("row: MADRS score", f"row: {text}"))
    with pytest.raises(InputError, match=r"not at 24\.36 h"):
        study.load(far)
    near.write_text(far.read_text().replace("24.36 h", "24.2 h"))
    linked = [
        match
        for match in published.matches(study.load(near))
        if match.row["endpoint"] == text and match.arm == "ketamine"
    ]
    assert [match.endpoint.name for match in linked if match.endpoint and match.row["time_h"] == "24"] == [
        "response-7d"
    ]


def test_a_link_without_a_time_means_the_row_at_the_time_of_its_endpoint(tmp_path: Path) -> None:
    text = _text_at_24_h()
    file = _study(tmp_path, "0 h")
    file.write_text(file.read_text().replace("row: MADRS score, time: 0 h", f"row: {text}"))
    with pytest.raises(InputError, match="not at the time of the endpoint"):
        study.load(file)
