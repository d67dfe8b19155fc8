"""The published studies of the library: each loads, names its paper, and is tied to evidence rows that exist."""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path

import pytest

import respine
from respine import study as study_room
from respine.library import BUILT_IN
from respine.published.measures import MEASURES
from respine.study import scales
from respine.study.schema import Compare, Study

LIBRARY = Path(respine.__file__).parent / "library"
FILES = sorted((LIBRARY / "studies").glob("*.yaml"))
NAMES = [file.stem for file in FILES]
DOI = re.compile(r"doi:(10\.\d{4,}/\S+)")
ASKED_FOR = {
    "zarate-2006", "murrough-2013", "murrough-2013-repeated", "singh-2016", "daly-2018", "lapidus-2014", "ibrahim-2012",
    "price-2009", "husain-2004", "star-d-step-1", "naive-ketamine-li-2010", "stress-ketamine-li-2011",
    "stress-recovery", "ketamine-rapamycin", "ketamine-nbqx", "ketamine-anti-bdnf", "ketamine-met-met",
    "ketamine-bdnf-heterozygous", "naive-ketamine-phoumthipphavong-2016",
}  # fmt: skip
# published rows that the studies' endpoints cannot show, with the reason
NOT_SHOWN = {
    "murrough-2013": r"score-0-on-all-3-explicit-suicide-measures",  # a composite of three instruments
    "price-2014": r"qids-suicide-item|beck-hopelessness",  # no such scale in the library
    "zarate-2006": r"drug-placebo-effect-size",  # a standardised difference of a crossover
    "lii-2023": r"response-madrs-vs-screening",  # counted from a screening score that is not in the table
    "sustain-2-2020": r"-ae-|week-5-to-week-52",  # shares with an event; a change between two later visits
    "griselda-2018": r"-dropout-",  # nobody drops out
    "taylor-2006": r"share-of-6-wk",  # one endpoint over another
    "kishimoto-2016": r"time-at-which-superiority",  # a test of the pool, no endpoint of people
    "pride-2016": r"dropout|did-not-remit|in-remitters|treatments-to",  # among remitters or completers alone
}
# the typical trial of a review: the rows print the size of the whole pool
POOLS = {
    "wilkinson-2018", "kishimoto-2016", "dean-2021-saline", "dean-2021-midazolam", "griselda-2018", "taylor-2006",
    "nelson-papakostas-2009", "exercise-programmes", "transform-2-2019",
}  # fmt: skip
# experiments of our own on a published question: no row can be tied, the header says why
OUR_OWN = {
    "pain-single-nasal-dose", "infliximab-low-inflammation", "bladder-chronic-use", "excitotoxic-protection",
    "relapse-and-retreatment", "nasal-after-iv", "ssri-dose-plateau",
}  # fmt: skip


@cache
def load(name: str) -> Study:
    return study_room.load(name)


@cache
def evidence(table: str) -> dict[str, dict[str, str]]:
    with open(LIBRARY / "evidence" / f"{table}.csv", newline="", encoding="utf-8") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def rows_of(block: Compare) -> dict[str, dict[str, str]]:
    """Evidence rows of the study a compare block names."""
    year = "" if block.year is None else str(block.year)
    ids = {link.id for link in block.rows} if block.study is None else set()
    return {
        row_id: row for row_id, row in evidence(block.table).items()
        if (row["study"] == block.study and year in ("", row["year"])) or row_id in ids
    }  # fmt: skip


def test_the_library_holds_the_studies_it_promises() -> None:
    assert set(NAMES) >= ASKED_FOR


@pytest.mark.parametrize("name", NAMES)
def test_study_loads_under_its_file_name(name: str) -> None:
    assert load(name).name == name


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_file_is_headed_by_its_paper(file: Path) -> None:
    first = file.read_text(encoding="utf-8").splitlines()[0]
    match = DOI.search(first)
    assert first.startswith("# ") and match, first
    assert load(file.stem).doi == match[1].rstrip(".,;")


@pytest.mark.parametrize("name", NAMES)
def test_every_compare_block_finds_rows_and_every_arm_exists(name: str) -> None:
    study = load(name)
    if name in OUR_OWN:
        assert not study.compare
        assert re.search(r"# .*(experiment of our own|which no endpoint gives)", study.text)
        return
    assert study.compare, "a published study is shown beside its published rows"
    for block in study.compare:
        rows = rows_of(block)
        assert rows, (block.study, block.year)
        arms = {row["arm"] for row in rows.values()}
        assert set(block.arms) <= set(study.arms)
        assert set(block.arms.values()) <= arms
        assert set(block.leave_out) <= arms
        simulated = {block.arms.get(arm, arm) for arm in study.arms}
        assert arms <= simulated | set(block.leave_out), "an evidence arm is neither simulated nor left out"


@pytest.mark.parametrize("name", NAMES)
def test_every_tie_joins_one_row_to_one_endpoint(name: str) -> None:
    study = load(name)
    endpoints = {endpoint.name: endpoint for endpoint in study.endpoints}
    for block in study.compare:
        rows, links = rows_of(block), block.rows
        assert links
        assert len({link.id for link in links}) == len(links)
        for link in links:
            assert link.id in rows, link.id
            assert link.arm in study.arms
            endpoint = endpoints[link.endpoint]
            printed = rows[link.id]["time_h"]
            at = next(
                t for t in (link.time, getattr(endpoint, "at", None), getattr(endpoint, "by", None)) if t is not None
            )
            if printed:
                assert at == pytest.approx(float(printed), abs=1e-3), link.id


@pytest.mark.parametrize("name", NAMES)
def test_tied_rows_measure_what_the_endpoint_measures(name: str) -> None:
    """Scale, kind, drop and limit of a clinical row, and output of a rodent row, agree with the endpoint."""
    study = load(name)
    endpoints = {endpoint.name: endpoint for endpoint in study.endpoints}
    for block in study.compare:
        for link in block.rows:
            endpoint, row = endpoints[link.endpoint], rows_of(block)[str(link.id)]
            kind = MEASURES[row["measure"]].kind
            assert endpoint.kind == kind or {endpoint.kind, kind} == {"difference", "difference-in-change"}, link.id
            if block.table == "preclinical":
                assert endpoint.of == row["output"], link.id
                continue
            assert not row["scale"] or scales.load(BUILT_IN, row["scale"]).name == endpoint.of, link.id
            if row["drop"]:
                assert endpoint.drop == pytest.approx(float(row["drop"]) / 100), link.id
            if row["below"]:
                assert endpoint.below == float(row["below"]), link.id
            if row["measure"] == "response-any-time":
                assert endpoint.by is not None, link.id


@pytest.mark.parametrize("name", NAMES)
def test_no_row_of_a_simulated_arm_is_forgotten(name: str) -> None:
    study = load(name)
    for block in study.compare:
        tied = {link.id for link in block.rows}
        open_rows = [
            row_id for row_id, row in rows_of(block).items()
            if row_id not in tied and row["arm"] not in block.leave_out
            and not (name in NOT_SHOWN and re.search(NOT_SHOWN[name], row_id))
        ]  # fmt: skip
        assert open_rows == []


@pytest.mark.parametrize("name", NAMES)
def test_published_arm_sizes_agree_with_the_rows(name: str) -> None:
    """n of the arm is the largest n the tied rows print for it (observed cases shrink over a trial)."""
    if name in POOLS:
        pytest.skip("the rows print the size of the whole pool")
    study = load(name)
    for block in study.compare:
        if block.table != "clinical":
            continue
        printed: dict[str, int] = {}
        for link in block.rows:
            row = rows_of(block)[str(link.id)]
            of_another_size = "responders" in row["arm"] or row["measure"] in ("difference", "score-difference")
            if row["n"].isdigit() and not of_another_size:
                printed[str(link.arm)] = max(printed.get(str(link.arm), 0), int(row["n"]))
        for arm, n in printed.items():
            assert study.arms[arm].n_published == n, arm


@pytest.mark.parametrize("name", NAMES)
def test_controls_and_seeds(name: str) -> None:
    study = load(name)
    human = study.population.startswith(("healthy", "mdd", "bipolar"))
    both_treated = name == "abdallah-2020"  # ketamine in both arms, beside rapamycin or its placebo
    if human and len(study.arms) > 1 and study.design != "single-arm" and not both_treated:
        assert any(arm.control is not None for arm in study.arms.values()), "a trial has a control arm"
    if study.design == "single-arm":
        assert all(arm.control is not None and arm.control.kind == "open-label" for arm in study.arms.values())
    assert all(arm.n_published for arm in study.arms.values())


def test_no_two_studies_share_a_seed() -> None:
    seeds = [load(name).seed for name in NAMES]
    assert len(set(seeds)) == len(seeds)


def test_murrough_2013_reads_as_published() -> None:
    study = load("murrough-2013")
    (dose,) = study.arms["ketamine"].doses
    assert dose.amount is not None
    assert (dose.drug, dose.route, dose.amount.value, dose.amount.unit) == ("ketamine", "iv", 0.5, "mg/kg")
    assert dose.over == pytest.approx(2 / 3)
    assert study.visits[-1] == 168
