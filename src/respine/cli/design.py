"""`respine design`: boundaries, sizes and chances of a trial with looks, for an effect that is given or that a study has."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import typer

from respine.cli.errors import report_errors
from respine.cli.names import complete_study

if TYPE_CHECKING:
    from respine.cli.screen import Screen
    from respine.trial.analysis.sequential.design import Design
    from respine.trial.power import PowerResults
    from respine.trial.power.looks import Plan


@report_errors
def design(
    study: str | None = typer.Argument(
        None,
        metavar="[NAME|FILE]",
        autocompletion=complete_study,
        help="A study whose simulated effect is taken; or give one.",
    ),
    effect: float | None = typer.Option(None, help="Difference of means, in SD or in the unit of --sd."),
    sd: float = typer.Option(1.0, help="SD of a person."),
    rates: str | None = typer.Option(None, metavar="A,B", help='Shares of both arms: "50%,30%".'),
    hazard_ratio: float | None = typer.Option(None, help="Hazard ratio; sizes are then events."),
    median: float | None = typer.Option(None, help="Median time of the control arm, for people in place of events."),
    accrual: float = typer.Option(0.0, help="Length of recruitment, in the unit of --median."),
    follow_up: float = typer.Option(0.0, help="Follow-up of the last person, in the unit of --median."),
    dropout: str | None = typer.Option(None, metavar="SHARE", help="Share that has left by the end."),
    power: str = typer.Option("80%,90%", metavar="SHARE", help="Powers to reach."),
    alpha: float = typer.Option(0.025, help="Type I error: one-sided, or of both sides with --sided 2."),
    sided: int = typer.Option(1, help="1 or 2."),
    boundary: str = typer.Option(
        "no-early-stop", metavar="NAME", help="obrien-fleming, pocock, asOF, asP, hsd ... or OF, P."
    ),
    looks: str = typer.Option(
        "1", metavar="K|SHARES", help='Number of looks, or their shares of information: "0.5,1".'
    ),
    gamma: float | None = typer.Option(None, help="Of Kim-DeMets or Hwang-Shih-DeCani spending."),
    delta: float | None = typer.Option(None, help="Of Wang-Tsiatis boundaries."),
    futility: str | None = typer.Option(
        None, metavar="Z,Z", help="Futility bounds on z, one for each look but the last."
    ),
    beta_spending: str | None = typer.Option(None, metavar="NAME", help="Spend the type II error by this function."),
    gamma_beta: float | None = typer.Option(None, help="Its parameter."),
    binding: bool = typer.Option(False, "--binding", help="Futility bounds are binding."),
    ratio: float = typer.Option(1.0, help="People of the first arm for each of the second."),
    against: str | None = typer.Option(None, metavar="ARM", help="With a study: the arm to compare with."),
    endpoint: str | None = typer.Option(None, metavar="NAME", help="With a study: the endpoint."),
    visit: list[str] | None = typer.Option(None, metavar="TIME", help='With a study: visits, "all" for all.'),
    replicates: int = typer.Option(200, help="With a study: trials to simulate."),
    budget: str = typer.Option(
        "3 min", metavar="TIME", help="With a study: time after which no further trial is simulated."
    ),
    z: float | None = typer.Option(None, help="z seen at the first look: conditional power and a new size are told."),
    json: bool = typer.Option(False, "--json", help="Print JSON instead of tables."),
) -> None:
    """People, boundaries and chances of stopping for one look or several; with a study for every comparison side by side."""
    from respine.cli.screen import Screen, print_json

    screen = Screen(as_json=json)
    powers = _shares("power", power)
    gone = 0.0 if dropout is None else _shares("dropout", dropout)[0]
    options = {"delta": delta, "gamma": gamma, "gamma_beta": gamma_beta, "binding": binding}
    designs = [make_design(boundary, looks, alpha, sided, futility, beta_spending, 1 - p, options) for p in powers]
    if study is not None:
        _of_study(study, designs, powers, gone, screen, json, against=against, endpoint=endpoint, visit=visit,
                  replicates=replicates, budget=budget)  # fmt: skip
        return
    from respine.trial.power import looks as trial_with

    plans = []
    for design, target in zip(designs, powers, strict=True):
        if effect is not None:
            plans.append(_made(trial_with.of_means, design, abs(effect), sd, target, ratio))
        elif rates is not None:
            pair = _shares("rates", rates)
            if len(pair) != 2:
                raise _wrong("rates", rates, "Two shares are needed, one an arm.", 'Write --rates "50%,30%".')
            plans.append(_made(trial_with.of_rates, design, *pair, target, ratio))
        elif hazard_ratio is not None:
            plans.append(_made(trial_with.of_events, design, hazard_ratio, target, median=median, accrual=accrual,
                               follow_up=follow_up, ratio=ratio))  # fmt: skip
        else:
            raise _wrong("effect", "", "Nothing says what the trial looks for.",
                         "Write a study, --effect with --sd, --rates or --hazard-ratio.")  # fmt: skip
    rows = [plan.plain() | _with_dropout(plan, gone) for plan in plans]
    if z is not None:
        rows = [row | _conditional(plan, z) for row, plan in zip(rows, plans, strict=True)]
    if json:
        print_json(rows)
        return
    for plan, facts in zip(plans, rows, strict=True):
        _show(plan, facts, screen)


def _wrong(name: str, seen: object, why: str, cure: str) -> Exception:
    from respine.errors import InputError, argument

    return InputError(argument(name, seen, why, cure))


def _shares(name: str, text: str) -> list[float]:
    from respine.files import units

    shares = []
    for word in text.split(","):
        try:
            value = units.fraction(word.strip()) if "%" in word else float(word)
        except (units.UnitError, ValueError):
            raise _wrong(name, word, "This is no share.", 'Write for example "80%".') from None
        if not 0 < value < 1:
            raise _wrong(name, word, "The share must lie between 0 and 100 %.", 'Write for example "80%".')
        shares.append(value)
    return shares


def make_design(
    boundary: str, looks: str, alpha: float, sided: int, futility: str | None, beta_spending: str | None, beta: float,
    options: dict[str, Any],
) -> Design:  # fmt: skip
    """The design of a boundary and looks as the command line writes them. Raises InputError."""
    from respine.trial.analysis.sequential.design import design as make

    try:
        shares = int(looks) if looks.strip().isdigit() else [float(word) for word in looks.split(",")]
        bounds = None if futility is None else [float(word) for word in futility.split(",")]
        return make(boundary, shares, alpha, sided, futility=bounds, beta_spending=beta_spending, beta=beta, **options)
    except ValueError as error:
        raise _wrong(
            "boundary", f"{boundary} {looks}", f"{error}".capitalize() + ".", "See docs: Analyse a trial."
        ) from None


def _made(make: Any, *arguments: Any, **more: Any) -> Plan:
    try:
        plan: Plan = make(*arguments, **more)
        return plan
    except ValueError as error:
        raise _wrong(
            "effect", "", f"{error}".capitalize() + ".", "Correct the effect, the shares or the hazard ratio."
        ) from None


def _with_dropout(plan: Plan, share: float) -> dict[str, Any]:
    """People to enrol so that enough are left."""
    people = plan.size.maximum if plan.what == "people" else plan.people
    return {"dropout": share, "enrol": people / (1 - share)}


def _conditional(plan: Plan, z: float) -> dict[str, Any]:
    from respine.trial.analysis.sequential.adaptive import conditional_power, resize

    if plan.design.looks < 2:
        raise _wrong("z", z, "There is no look before the last.", "Write --looks 2 or more.")
    facts: dict[str, Any] = {
        "conditional_power_observed": conditional_power(plan.design, 1, z),
        "conditional_power_planned": conditional_power(plan.design, 1, z, plan.drift),
    }
    if plan.design.looks == 2 and plan.design.sided == 1:
        planned = plan.size.maximum * (1 - float(plan.design.information[0]))
        new = resize(plan.design, z=z, planned=planned, most=2.0)
        facts["re-estimation"] = {"zone": new.zone, "planned": planned, "remaining": new.remaining,
                                  "conditional_power_after": new.conditional_power_after}  # fmt: skip
    return facts


def _show(plan: Plan, facts: dict[str, Any], screen: Screen) -> None:
    from respine.cli.screen import columns

    size, design = plan.size, plan.design
    screen.say(f"\npower {100 * plan.power:.0f} %, alpha {design.alpha:g} ({'two' if design.sided == 2 else 'one'}-sided), "
               f"{design.family}, {design.looks} look{'s' if design.looks > 1 else ''}")  # fmt: skip
    screen.say(f"  {plan.what} in both arms: {math.ceil(size.maximum - 1e-9)} at most, {size.fixed:.1f} with one look; expected "
               f"{size.expected:.1f} with the effect, {size.expected_half:.1f} with half of it, "
               f"{size.expected_null:.1f} without")  # fmt: skip
    if plan.people == plan.people:
        screen.say(f"  people to see these events: {math.ceil(plan.people)}")
    if facts["dropout"] > 0:
        screen.say(f"  people to enrol with {100 * facts['dropout']:.0f} % dropout: {math.ceil(facts['enrol'])}")
    if design.looks > 1:
        header = [
            "look",
            "information",
            plan.what,
            "z",
            "p",
            "futility z",
            "alpha spent",
            "wins",
            "wins, no effect",
            "futile",
        ]
        rows = [
            [f"{r['look']}", f"{100 * r['information']:.1f} %", f"{r['size']:.1f}", f"{r['z']:.4f}", f"{r['p']:.5f}",
             "" if not math.isfinite(r["futility_z"]) else f"{r['futility_z']:.4f}", f"{r['alpha_spent']:.5f}",
             f"{100 * r['win']:.1f} %", f"{100 * r['win_null']:.2f} %", f"{100 * r['futile']:.1f} %"]
            for r in plan.looks()
        ]  # fmt: skip
        screen.say(columns(rows, header, right=range(len(header))))
    if "conditional_power_observed" in facts:
        screen.say(f"  conditional power after this look: {100 * facts['conditional_power_observed']:.1f} % under "
                   f"the trend seen, {100 * facts['conditional_power_planned']:.1f} % under the effect planned for")  # fmt: skip
    if "re-estimation" in facts:
        new = facts["re-estimation"]
        screen.say(f"  re-estimation ({new['zone']}): {new['remaining']:.1f} {plan.what} to come in place of "
                   f"{new['planned']:.1f}, conditional power then {100 * new['conditional_power_after']:.1f} %")  # fmt: skip


def _of_study(
    study: str, designs: list[Design], powers: list[float], gone: float, screen: Screen, as_json: bool, **asked: Any
) -> None:
    """Sizes with and without looks for every comparison of a study, and the assurance they have."""
    from respine.cli.power import _visits, days
    from respine.cli.screen import columns, print_json
    from respine.trial.power import looks as trial_with
    from respine.trial.power import power as simulate

    with screen.progress(asked["replicates"], "simulating trials") as progress:
        results: PowerResults = simulate(
            study, "50,100", endpoint=asked["endpoint"], against=asked["against"], visits=_visits(study, asked["visit"]),
            replicates=asked["replicates"], budget=asked["budget"], dropout=gone or None, progress=progress,
        )  # fmt: skip
    rows = []
    for effect in results.effects.to_dict("records"):
        sd, size = effect["sd_analysis"], abs(effect["effect"])
        for design, target in zip(designs, powers, strict=True):
            if size == 0:
                continue
            plan = _made(trial_with.of_means, design, size, sd, target)
            rows.append({
                "arm": effect["arm"], "against": effect["against"], "visit_h": effect["visit_h"], "power": target,
                "effect": effect["effect"], "sd": sd, "assurance": plan.assurance(
                    effect["effect_over_draws"] / effect["effect"], effect["sd_between_draws"] / size),
            } | {k: v for k, v in plan.plain().items() if k not in ("power",)})  # fmt: skip
    if as_json:
        print_json({"designs": rows, "notes": list(results.notes)})
        return
    header = [
        "arm",
        "against",
        "visit",
        "power",
        "difference",
        "SD",
        "people, one look",
        "at most",
        "expected",
        "assurance",
    ]
    cells = [
        [r["arm"], r["against"], days(r["visit_h"]), f"{100 * r['power']:.0f} %", f"{r['effect']:.2f}", f"{r['sd']:.2f}",
         f"{math.ceil(r['fixed'])}", f"{math.ceil(r['maximum'])}", f"{r['expected']:.0f}", f"{100 * r['assurance']:.0f} %"]
        for r in rows
    ]  # fmt: skip
    screen.say(columns(cells, header, right=range(3, len(header))))
    screen.say(
        "people of both arms together who can be analysed; SD: of a person in the analysis; effect of the typical parameters"
    )
    for note in results.notes:
        screen.say(f"note: {note}")
    screen.say(screen.DISCLAIMER)
