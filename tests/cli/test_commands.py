"""The small commands: studies, new, study, model."""

import json

import jsonschema
import pytest
from ruamel.yaml import YAML

from respine import library

from .conftest import Respine


def test_studies_are_listed_with_title_and_arms(respine: Respine) -> None:
    result = respine("studies")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert {line.split()[0] for line in lines[: len(library.names("studies"))]} == set(library.names("studies"))
    assert any("murrough-2013 " in line and "2 arms" in line and "midazolam" in line for line in lines)


def test_studies_as_json(respine: Respine) -> None:
    rows = json.loads(respine("studies", "--json").stdout)
    assert [row["name"] for row in rows] == library.names("studies")
    murrough = next(row for row in rows if row["name"] == "murrough-2013")
    assert murrough["arms"] == ["ketamine", "midazolam"] and murrough["days"] == 7.0
    assert murrough["doi"].startswith("10.1176/")


def test_new_writes_a_study_that_is_valid(respine: Respine, tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert respine("new", "mine.yaml").exit_code == 0
    assert "#" in (tmp_path / "mine.yaml").read_text()
    assert respine("study", "check", "mine.yaml").exit_code == 0
    schema = json.loads(respine("study", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(YAML(typ="safe").load((tmp_path / "mine.yaml").read_text()), schema)


def test_new_never_overwrites(respine: Respine, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "mine.yaml").write_text("precious")
    result = respine("new", "mine.yaml")
    assert result.exit_code == 2 and "exists already" in result.stderr
    assert (tmp_path / "mine.yaml").read_text() == "precious"


def test_new_says_a_command_that_can_be_pasted(respine: Respine, tmp_path) -> None:  # type: ignore[no-untyped-def]
    result = respine("new", "x y.yaml")
    assert result.stdout.rstrip().endswith("respine run 'x y.yaml'") and (tmp_path / "x y.yaml").is_file()


def test_new_into_no_folder(respine: Respine) -> None:
    result = respine("new", "nowhere/mine.yaml")
    assert result.exit_code == 2 and "mkdir -p nowhere" in result.stderr


def test_an_unknown_study_gets_a_suggestion(respine: Respine) -> None:
    result = respine("run", "murrough-2031")
    assert result.exit_code == 2
    assert "murrough-2013" in result.stderr and "nothing was run" in result.stderr
    assert result.stdout == ""


def test_all_mistakes_of_a_file_at_once_and_nothing_written(respine: Respine, tmp_path) -> None:  # type: ignore[no-untyped-def]
    text = (
        library.text("studies", "murrough-2013")
        .replace("0.5 mg/kg", "-0.5 mg/kg")
        .replace("drug: midazolam", "drug: midazolan")
    )
    (tmp_path / "mine.yaml").write_text(text)
    result = respine("run", "mine.yaml")
    assert result.exit_code == 2
    assert "mine.yaml:" in result.stderr and "midazolan" in result.stderr and "-0.5 mg/kg" in result.stderr
    assert "2 errors; nothing was run." in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize("options", [("--subjects", "0"), ("--subjects", "-3"), ("--seed", "-1"), ("--threads", "0")])
def test_numbers_out_of_range(respine: Respine, tmp_path, options) -> None:  # type: ignore[no-untyped-def]
    result = respine("run", "murrough-2013", *options)
    assert result.exit_code == 2 and options[0] in result.stderr
    assert not list(tmp_path.iterdir())


def test_words_that_are_no_numbers(respine: Respine) -> None:
    result = respine("run", "murrough-2013", "--subjects", "many")
    assert result.exit_code == 2 and "--subjects" in result.stderr


def test_model_names(respine: Respine) -> None:
    held = json.loads(respine("model", "names", "--json").stdout)
    assert held["models"] == library.names("models") and "ketamine" in held["drugs"]


def test_names_in_a_pipe_stand_one_a_line(respine: Respine) -> None:
    """So that grep and cut find them whole; a meaning stands beside each."""
    rows = [line.split("\t") for line in respine("model", "names").stdout.splitlines()]
    assert [row[0] for row in rows if row[1] == "study"] == library.names("studies")
    assert ["placebo-spray", "drug", "Nasal spray without drug (a bitter agent hides the taste)"] in rows
    assert all(len(row) == 3 and all(row) for row in rows)
    drugs = respine("model", "names", "drugs").stdout.splitlines()
    assert [line.split("\t")[0] for line in drugs] == library.names("drugs")
    wrong = respine("model", "names", "drug")
    assert wrong.exit_code == 2 and "Write drugs." in wrong.stderr


def test_model_show(respine: Respine) -> None:
    module = respine("model", "show", "synapse").stdout
    assert "spine_mushroom" in module
    whole = respine("model", "show").stdout
    assert len(whole) > len(module) and "circuit" in whole
    wrong = respine("model", "show", "spine_mushrom")
    assert wrong.exit_code == 2 and "spine_mushroom" in wrong.stderr


def test_a_symbol_of_another_model_is_found(respine: Respine) -> None:
    assert "peritoneum" in respine("model", "show", "s_ketamine_ip_depot").stdout
    wrong = respine("model", "show", "s_ketamine_ip_depot", "-m", "human")
    assert wrong.exit_code == 2 and "The human model has no" in wrong.stderr


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ketamine", ["0.05 to 2 mg/kg", "s_ketamine_central (0.5)", "sprays of 10 mg", "perez-ruixo-2021",
                      "of clinical.csv", "murrough-2013", "ketamine_equivalent (glutamate)"]),
        ("Spravato", ["esketamine (drug)", "14 to 168 mg"]),
        ("rapamycin", ["holds mtorc1_block at 0.2 for 60 h", "mtorc1 (bdnf)", "routes in rat and mouse"]),
        ("restraint", ["stress = 1 at level 1", "stress 0 to 2", "stress_load (hpa)", "stress-recovery", "rat-stressed"]),
        ("MADRS", ["0 to 60, in steps of 1", "reads", "symptom", "rater_sd", "williams-kobak-2008", "murrough-2013"]),
        ("mdd-treatment-resistant", ["human", "age_y", "mean 50.7", "stress", "365 d", "murrough-2013"]),
        ("murrough-2013", ["ketamine 0.5 mg/kg iv over 40 min", "difference-24h", "10.1176/", "MADRS"]),
    ],
)  # fmt: skip
def test_model_show_knows_every_kind(
    respine: Respine, name: str, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")  # narrower screens cut long lines
    result = respine("model", "show", name)
    assert result.exit_code == 0
    for text in told:
        assert text in result.stdout, text


@pytest.mark.parametrize("kind", ["drugs", "exposures", "scales", "populations"])
def test_every_file_of_the_library_has_a_card(kind: str) -> None:
    from respine.cli import cards

    for name in library.names(kind):
        text = cards.card(kind, name)
        assert text.startswith(f"{name} (") and f"written in library/{kind}/{name}.yaml" in text


def test_a_name_of_two_kinds_shows_both(respine: Respine) -> None:
    text = respine("model", "show", "exercise").stdout
    assert "exercise (exposure)" in text and "exercise_effect := " in text


def test_model_export_is_sbml_and_never_overwrites(respine: Respine, tmp_path) -> None:  # type: ignore[no-untyped-def]
    import libsbml

    assert respine("model", "export", "human.xml").exit_code == 0
    document = libsbml.readSBMLFromFile(str(tmp_path / "human.xml"))
    assert (document.getLevel(), document.getVersion()) == (3, 2)
    assert document.getNumErrors(libsbml.LIBSBML_SEV_ERROR) == 0
    assert respine("model", "export", "human.xml").exit_code == 2
