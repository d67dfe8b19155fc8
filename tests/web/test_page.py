"""The page as a reader uses it: every scene, every lever, by mouse and by keyboard, from the disk with the network cut."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from respine import web
from respine.study.schema import Study
from respine.web.page import MOST_BYTES

SCENES = web.names()
SENTENCE = "() => document.getElementById('sentence').textContent"


@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_opens_offline_and_tells_its_story(opened, pages, scene):
    page = opened(scene)
    tab = page.tab
    assert tab.get_attribute("body", "data-ready") == "true"
    assert pages(scene).stat().st_size <= MOST_BYTES
    assert [url for url in page.requests if not url.startswith(("file:", "blob:", "data:"))] == []
    assert "connections stand at" in tab.evaluate(SENTENCE)
    tab.evaluate("() => window.respine.chain.flush()")
    shown = tab.eval_on_selector_all(".plot .line", "all => all.map(one => one.getAttribute('d').length)")
    chain = tab.evaluate("() => window.respine.chain.panels.length")
    assert len(shown) >= 2 * chain - 2
    assert min(shown) > 20
    assert "Not advice for any person" in tab.inner_text("footer")


def test_suicidality_stands_beside_a_pointer_to_help(opened):
    assert opened("treatment-resistant").tab.is_visible("#help")
    assert not opened("first-antidepressant").tab.is_visible("#help")


def test_the_drawing_is_the_models_numbers(opened):
    tab = opened("rat-under-stress").tab
    state = (
        "() => { const d = window.respine.stage.drawings[0]; return { shown: d.dendrite.visible, caption: d.caption } }"
    )
    tab.evaluate("() => window.respine.state.moveTo(0)")
    healthy = tab.evaluate(state)
    tab.evaluate("() => window.respine.state.moveTo(21 * 24)")
    stressed = tab.evaluate(state)
    values = tab.evaluate(
        "() => ['spine_total', 'dendrite_arbor'].map(n => window.respine.stage.value('ketamine', n, 504))"
    )
    assert "100\u00a0%" in healthy["caption"]
    assert stressed["shown"] / healthy["shown"] == pytest.approx(values[0] * values[1], abs=0.06)


# ---- every control ------------------------------------------------------------------------------------------------------
def test_every_slider_changes_the_study_and_the_picture(opened):
    page = opened("treatment-resistant")
    tab = page.tab
    keys = tab.eval_on_selector_all("#form input[type=range]", "all => all.map(one => one.dataset.key)")
    assert {
        "doses0amount",
        "doses0times",
        "doses0every",
        "stress-before",
        "stress-after",
        "exercise",
        "inflammation",
        "crp",
        "weight_kg",
        "until",
    } <= set(keys)
    for key in keys:
        before = tab.evaluate("() => JSON.stringify([window.respine.state.study, window.respine.state.wished])")
        solved = int(tab.get_attribute("body", "data-solved"))
        tab.eval_on_selector(
            f"#form input[data-key='{key}']",
            "one => { one.value = Number(one.value) > 500 ? 200 : 800; one.dispatchEvent(new Event('input', { bubbles: true })) }",
        )
        tab.wait_for_function("n => Number(document.body.dataset.solved) > n", arg=solved)
        assert (
            tab.evaluate("() => JSON.stringify([window.respine.state.study, window.respine.state.wished])") != before
        ), key
    assert tab.inner_text("#status").startswith(("", "Band"))


def test_drugs_routes_and_genotype_can_be_chosen(opened):
    page = opened("treatment-resistant")
    tab = page.tab
    for drug in tab.eval_on_selector_all("select[data-key=doses0drug] option", "all => all.map(one => one.value)"):
        if not drug:
            continue
        tab.select_option("select[data-key=doses0drug]", drug)
        for route in tab.eval_on_selector_all(
            "select[data-key=doses0route] option", "all => all.map(one => one.value)"
        ):
            tab.select_option("select[data-key=doses0route]", route)
            page.settled()
            assert tab.get_attribute("#status", "class") == "status", (drug, route, tab.inner_text("#status"))
            Study.from_yaml(
                tab.evaluate(
                    "() => { window.respine.open('share'); const t = document.getElementById('yaml').textContent; document.getElementById('panel').close(); return t }"
                )
            )
    tab.select_option("select[data-key=genotype]", "Met/Met")
    assert tab.evaluate("() => window.respine.state.arm.genotype.val66met") == "Met/Met"
    tab.select_option("select[data-key=doses0drug]", "")
    page.settled()
    assert tab.is_visible("text=Nothing is given")
    tab.click("text=Give a drug")
    for exposure in tab.eval_on_selector_all(
        "select[data-key=add-exposure] option", "all => all.map(one => one.value).filter(Boolean)"
    ):
        tab.select_option("select[data-key=add-exposure]", exposure)
        page.settled()
        assert tab.get_attribute("#status", "class") == "status", exposure
        tab.click("fieldset:has(input[data-key^=e]) button:has-text('Take it out')")
    tab.click("text=Taken besides")
    page.settled()
    assert tab.evaluate("() => window.respine.state.arm.co_medication.length") == 1


def test_scenarios_stand_beside_each_other_up_to_four(opened):
    page = opened("treatment-resistant")
    tab = page.tab
    for _ in range(5):
        if tab.is_enabled("#compare"):
            tab.click("#compare")
        page.settled()
    assert tab.locator(".dendrites figure").count() == 4
    assert not tab.is_enabled("#compare")
    tab.click("text=start again")
    page.settled()
    assert tab.locator(".scenario button[aria-pressed]").count() == 1


def test_the_study_goes_on_as_long_as_something_is_given(opened):
    page = opened("treatment-resistant")
    page.tab.evaluate("() => window.respine.state.edit(arm => { arm.doses[0].times = 20 })")
    page.settled()
    text = page.tab.evaluate(
        "() => { window.respine.open('share'); return document.getElementById('yaml').textContent }"
    )
    assert max(Study.from_yaml(text).visits) > 19 * 84


def test_only_the_newest_of_many_quick_changes_is_drawn(opened):
    page = opened("treatment-resistant")
    page.tab.evaluate(
        "() => { for (let k = 1; k <= 60; k++) window.respine.state.edit(arm => { arm.doses[0].amount = `${k / 100} mg/kg` }) }"
    )
    page.settled()
    peak = "() => Math.max(...window.respine.stage.solved.arms[0].curves.plasma_ketamine)"
    drawn = page.tab.evaluate(peak)
    page.tab.evaluate("() => window.respine.state.edit(arm => { arm.doses[0].amount = '0.6 mg/kg' })")
    page.settled()
    assert page.tab.evaluate(peak) == drawn
    assert int(page.tab.get_attribute("body", "data-solved")) < 30


def test_beyond_what_was_studied_the_curve_says_so(opened):
    page = opened("treatment-resistant")
    page.tab.fill("input[data-key=doses0amount-n]", "9")
    page.settled()
    assert page.tab.locator("svg .line.beyond").count() > 5
    assert "Studied: 0.05 to 2" in page.tab.inner_text("#form")


def test_what_is_no_number_is_marked_and_changes_nothing(opened):
    page = opened("treatment-resistant")
    before = page.tab.evaluate("() => JSON.stringify(window.respine.state.study)")
    page.tab.fill("input[data-key=doses0amount-n]", "-3")
    assert page.tab.get_attribute("input[data-key=doses0amount-n]", "aria-invalid") == "true"
    assert page.tab.evaluate("() => JSON.stringify(window.respine.state.study)") == before


def test_a_study_that_cannot_be_computed_is_told_in_words(opened):
    page = opened("treatment-resistant")
    page.tab.evaluate("() => window.respine.state.edit(arm => { arm.doses[0].amount = 'a lot' })")
    page.settled()
    assert "cannot be computed" in page.tab.inner_text("#status")
    page.tab.click("text=start again")
    page.settled()
    assert "cannot" not in page.tab.inner_text("#status")


# ---- keyboard -----------------------------------------------------------------------------------------------------------
def test_all_of_it_can_be_done_with_the_keyboard(opened):
    page = opened("treatment-resistant")
    tab = page.tab
    tab.keyboard.press("Tab")
    assert tab.evaluate("() => document.activeElement.textContent") == "Skip to the controls"
    tab.keyboard.press("Enter")
    seen = []
    for _ in range(60):
        tab.keyboard.press("Tab")
        first = tab.evaluate(
            "() => document.activeElement.dataset.key || document.activeElement.id || document.activeElement.textContent.slice(0, 30)"
        )
        seen.append(first)
        if first == "doses0amount":
            before = tab.evaluate("() => window.respine.state.arm.doses[0].amount")
            tab.keyboard.press("ArrowLeft")
            page.settled()
            assert tab.evaluate("() => window.respine.state.arm.doses[0].amount") != before
            assert tab.evaluate("() => document.activeElement.dataset.key") == "doses0amount"
    assert {
        "compare",
        "doses0drug",
        "doses0route",
        "doses0amount",
        "doses0times",
        "stress-after",
        "genotype",
        "until",
    } <= set(seen)
    tab.focus("#cursor")
    before = tab.inner_text("#clock")
    tab.keyboard.press("ArrowRight")
    assert tab.inner_text("#clock") != before
    tab.focus(".plot .open")
    tab.keyboard.press("Enter")
    assert tab.evaluate("() => document.getElementById('panel').open")
    tab.keyboard.press("Escape")
    assert tab.evaluate("() => document.activeElement.className") == "open"  # the focus is where it was


def test_time_is_played_stepped_and_pointed_at(opened):
    page = opened("rat-under-stress")
    tab = page.tab
    begun = tab.evaluate("() => window.respine.state.cursor")
    tab.click("#forth")
    assert tab.evaluate("() => window.respine.state.cursor") > begun
    tab.click("#play")
    tab.wait_for_function("t => window.respine.state.cursor > t + 10", arg=begun)
    tab.click("#play")
    plot = tab.locator("[data-panel=spine_total] svg")
    plot.scroll_into_view_if_needed()
    plot.click(position={"x": plot.bounding_box()["width"] * 0.6, "y": 40})
    assert 0 < tab.evaluate("() => window.respine.state.cursor") < begun


def test_without_motion_nothing_plays(opened):
    assert not opened("rat-under-stress", reduced_motion="reduce").tab.is_visible("#play")


# ---- why, claims, evidence --------------------------------------------------------------------------------------------
def test_why_shows_equation_numbers_sources_and_what_moves_it(opened):
    page = opened("treatment-resistant")
    tab = page.tab
    tab.click("[data-panel=spine_total] .open")
    body = tab.inner_text("#panel-body")
    assert "spine_filopodium + spine_thin + spine_mushroom" in body
    tab.wait_for_selector("#moves table", timeout=60_000)
    assert tab.locator("#moves tbody tr").count() == 3
    tab.click("#panel-body .flow button:has-text('Mushroom spines')")
    body = tab.inner_text("#panel-body")
    assert "k_mushroom_loss" in body or "spine_mature" in body
    tab.click("#panel-body details summary >> nth=0")
    for symbol in tab.evaluate("() => Object.keys(window.respine.page.model.symbols)"):
        tab.evaluate("name => window.respine.why.show(name)", symbol)  # none may fail


def test_the_numbers_that_move_a_curve_most_are_those_of_the_library(opened):
    """The largest of the three, against the native solver."""
    import numpy as np

    from respine.protocol import resolve
    from respine.protocol.typical import typical

    page = opened("rat-under-stress")
    result = page.tab.evaluate("() => window.respine.moves('spine_total')")
    first = result["most"][0]
    study = Study.from_yaml(
        page.tab.evaluate("() => { window.respine.open('share'); return document.getElementById('yaml').textContent }")
    )
    quantity = resolve(study).system.quantities[first["name"]]
    times = np.array(page.tab.evaluate("() => [...window.respine.stage.solved.times]"))
    base = typical(study, ["spine_total"], times)["ketamine"]["spine_total"]
    sizes = [
        np.abs(typical(study.set(first["name"], end), ["spine_total"], times)["ketamine"]["spine_total"] - base).max()
        for end in (quantity.low, quantity.high)
    ]
    assert max(sizes) == pytest.approx(first["size"], rel=0.05)


def test_a_number_tried_under_why_is_in_the_study_that_is_taken_away(opened):
    page = opened("rat-under-stress")
    tab = page.tab
    tab.evaluate("() => window.respine.open('why', 'spine_mature')")
    tab.fill("input[aria-label='Try another value of k_spine_mature']", "0.0042")
    tab.press("input[aria-label='Try another value of k_spine_mature']", "Tab")
    page.settled()
    study = Study.from_yaml(
        tab.evaluate("() => { window.respine.open('share'); return document.getElementById('yaml').textContent }")
    )
    assert study.arms["ketamine"].parameters["k_spine_mature"] == 0.0042


def test_claims_and_evidence_can_be_read_and_filtered(opened):
    tab = opened("treatment-resistant").tab
    tab.click("nav [data-open=claims]")
    assert tab.locator("#panel-body tbody tr").count() >= 10
    tab.click("#panel-close")
    tab.click("nav [data-open=evidence]")
    everything = tab.inner_text("#panel-body [role=status]")
    tab.select_option("select[data-key=evidence-role]", "validate")
    assert tab.inner_text("#panel-body [role=status]") != everything
    assert set(
        tab.eval_on_selector_all("#panel-body tbody tr td:last-child", "all => all.map(one => one.textContent)")
    ) == {"validate"}
    tab.fill("input[data-key=evidence-find]", "murrough")
    assert "urrough" in tab.inner_text("#panel-body tbody")


def test_published_points_say_role_and_doi(opened):
    tab = opened("treatment-resistant").tab
    tab.evaluate("() => window.respine.chain.flush()")
    words = tab.eval_on_selector_all(".published", "all => all.map(one => one.getAttribute('aria-label'))")
    assert any("doi:10.1176/appi.ajp.2013.13030392" in item and "used to fit" in item for item in words)


# ---- links and what is taken away -----------------------------------------------------------------------------------------
def test_a_link_brings_back_the_very_view(opened):
    page = opened("treatment-resistant")
    page.tab.evaluate("""() => { window.respine.state.compare(); window.respine.state.edit((arm, study) => { arm.doses[0].times = 2;
        study.covariates = { ...study.covariates, crp: { distribution: 'constant', value: 7, unit: 'mg/L', status: 'assumed', note: 'set in the page' } } });
        window.respine.state.showUntil(60 * 24); window.respine.state.moveTo(123) }""")
    page.settled()
    link = page.tab.evaluate("() => window.respine.state.link()")
    again = opened("treatment-resistant", hash="#" + link)
    view = "() => JSON.stringify([window.respine.state.shownStudy, window.respine.state.active, window.respine.state.cursor, window.respine.state.last])"
    again.settled()
    assert json.loads(again.tab.evaluate(view)) == json.loads(page.tab.evaluate(view))


@pytest.mark.parametrize("hash", ["#v1.xxxx", "#v9.abc", "#%", "#v1.q1ZKVLKqVkpUsqpWSlKyMjTSUcpJVLJSqgUA"])
def test_a_link_that_says_nothing_is_told_and_the_scene_stands(opened, hash):
    page = opened("treatment-resistant", hash=hash)
    assert page.tab.get_attribute("body", "data-ready") == "true"
    assert page.tab.evaluate("() => window.respine.state.shown.length") == 1


@pytest.mark.parametrize(
    ("button", "ending", "begins"),
    [("Study (YAML)", ".yaml", b"# "), ("Numbers (CSV)", ".csv", b"scenario,panel,time_h,value"), ("Python code", ".py", b"import respine as rs"),
     ("Picture (SVG)", ".svg", b"<svg xmlns"), ("Picture (PNG)", ".png", b"\x89PNG")],
)  # fmt: skip
def test_everything_can_be_taken_away(opened, button, ending, begins):
    page = opened("treatment-resistant")
    page.tab.click("nav [data-open=share]")
    with page.tab.expect_download() as got:
        page.tab.click(f"#panel-body button:text-is('{button}')")
    assert got.value.suggested_filename.endswith(ending)
    data = Path(got.value.path()).read_bytes()
    assert data.startswith(begins)
    assert len(data) > 400
    if ending == ".svg":
        import xml.etree.ElementTree as tree

        root = tree.fromstring(data)
        assert "var(" not in data.decode()
        assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) > 200


def test_the_python_code_gives_the_view(opened):
    page = opened("rat-under-stress")
    code = page.tab.evaluate(
        "() => { window.respine.open('share'); return document.getElementById('python').textContent }"
    )
    scope: dict = {}
    exec(code.partition("results = ")[0], scope)
    native = scope["curves"]["ketamine"]["circuit"][-1]
    assert page.tab.evaluate("() => window.respine.stage.solved.arms[0].curves.circuit.at(-1)") == pytest.approx(
        native, rel=1e-3
    )


# ---- for everybody --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("look", ["light", "dark"])
@pytest.mark.parametrize(
    ("width", "panel"),
    [(1300, ""), (360, ""), (1300, "why"), (1300, "evidence"), (768, "claims"), (1300, "about"), (768, "share")],
)
def test_axe_finds_nothing(opened, look, width, panel):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = opened("treatment-resistant", viewport={"width": width, "height": 900}, color_scheme=look, bypass_csp=True)
    if panel:
        page.tab.evaluate("what => window.respine.open(what)", panel)
        page.tab.wait_for_timeout(300)
    result = axe.Axe().run(page.tab)
    assert result.violations_count == 0, result.generate_report()


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("width", [360, 768])
def test_no_page_scrolls_sideways(opened, scene, width):
    tab = opened(scene, viewport={"width": width, "height": 800}).tab
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= width


def test_on_a_small_screen_the_controls_come_from_below(opened):
    tab = opened("treatment-resistant", viewport={"width": 360, "height": 800}).tab
    assert not tab.is_visible("#form")
    tab.click("#sheet-open")
    assert tab.is_visible("#form")
    tab.keyboard.press("Escape")
    assert not tab.is_visible("#form")


# ---- own studies, runs and models, and the server ---------------------------------------------------------------------------
def test_a_study_of_the_library_and_an_own_model_become_pages(opened, tmp_path):
    page = opened(web.write("murrough-2013", tmp_path / "study.html"))
    assert page.tab.evaluate("() => window.respine.state.shown") == ["ketamine", "midazolam"]
    model = tmp_path / "own.ant"
    model.write_text("model own\n A = 10; k = 0.1; A' = -k*A; B = 0; B' = k*A - 0.05*B;\nend\n")
    page = opened(web.write(model, tmp_path / "model.html"))
    assert page.tab.evaluate("() => window.respine.stage.solved.arms[0].curves.A.at(-1)") == pytest.approx(
        10 * 2.718281828 ** (-0.1 * 48), rel=1e-3
    )
    page.tab.click("text=Give a drug")
    page.settled()
    assert page.tab.get_attribute("#status", "class") == "status"


def test_own_results_stand_on_the_curves(opened, tmp_path):
    own = tmp_path / "mine.csv"
    own.write_text(
        "arm,output,time,mean,sem,n,control\nketamine,spine_total,23 d,0.95,0.03,8,\nno drug,dendrite_arbor,21 d,80,5,8,ketamine\n"
    )
    page = opened(web.write("rat-under-stress", tmp_path / "own.html", data=own))
    page.tab.evaluate("() => window.respine.chain.flush()")
    words = page.tab.eval_on_selector_all(".published", "all => all.map(one => one.getAttribute('aria-label'))")
    assert sum(item.startswith("Own data: mine.csv") for item in words) == 2


def test_what_is_none_of_these_is_refused_in_words(tmp_path):
    from respine.errors import InputError

    with pytest.raises(InputError, match="no scene, study, run folder or model file"):
        web.scene_of("no-such-thing")
    model = tmp_path / "event.ant"
    model.write_text("model e\n A = 1; A' = -A; at (A < 0.5): A = 1;\nend\n")
    with pytest.raises(InputError, match="event"):
        web.write(model, tmp_path / "x.html")


def test_the_same_page_comes_from_the_server_and_simulates_a_trial(browser):
    import queue
    import threading

    from respine.web import server
    from tests.web.conftest import Opened

    told: queue.Queue[str] = queue.Queue()
    threading.Thread(target=server.serve, args=("rat-under-stress", "127.0.0.1", 0, told.put), daemon=True).start()
    page = Opened(browser.new_context())
    address = told.get(timeout=60)
    tab = page.go(address)
    assert tab.get_attribute("body", "data-ready") == "true"
    tab.click("nav [data-open=machine]")
    tab.fill("#panel-body input[type=number]", "40")
    tab.click("#run-trial")
    tab.wait_for_selector("#panel-body tbody tr", timeout=90_000)
    assert "arbor-21d" in tab.inner_text("#panel-body")
    tab.click("#panel-close")
    tab.select_option("#scene-choice", "course-of-ect")
    tab.wait_for_url("**/scene/course-of-ect*")
    tab.wait_for_selector("body[data-ready]", timeout=60_000)
    assert all(url.startswith((address, "blob:", "data:")) for url in page.requests)
    assert not page.complaints
    page.context.close()


def test_the_widget_gives_the_study_back():
    widget = web.explore("rat-under-stress")
    assert widget.page.startswith("<!doctype html>")
    assert list(widget.study.arms) == ["ketamine", "no drug", "unstressed"]
    changed = widget.study.replace(subjects=7)
    widget.current = json.dumps({"schema": "respine/study/1", **changed.to_dict()})
    assert widget.study.subjects == 7
