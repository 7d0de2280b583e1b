"""The figure of the report: flaw against skill, and every candidate's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from balora_audit.metric import Metric
from balora_audit.records import Comparison, FrontierPoint
from balora_audit.report.blocks import Block, Estimate, Figure, Note, Table, TableCell
from balora_audit.report.charts import AXIS_UNITS
from balora_audit.report.figures_frontiers import FEW, Frontier, Panel, Point, frontiers
from balora_audit.report.numbers import MISSING, interval_text, isolated, plain, scale, value_text
from balora_audit.report.rows import SKILL, Reader
from balora_audit.report.settings import setting_titles
from balora_audit.slices import CLEAN, Slice

__all__ = ["frontier_figure"]

_ARROWS = {True: "higher is better ↑", False: "lower is better ↓", None: ""}

_Flaw = tuple[str, str, Slice]
"""A probe, its metric, and the slice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """One candidate as a point of a flaw: its rows, one for each seed."""

    method: str
    setting: str
    rows: tuple[FrontierPoint, ...]

    def mean(self, field: str) -> float:
        values = [float(getattr(row, field)) for row in self.rows]
        return sum(values) / len(values)


def frontier_figure(reader: Reader, matched: Sequence[Comparison]) -> list[Block]:
    """Return the frontiers of every flaw that is claimed, with every candidate's numbers as a table; a note where there are none."""
    flaws, skill = _flaws(reader), reader.skill
    if not flaws or skill is None:
        return [Note(text="No candidate was tested, so that there are no frontiers to draw.")]
    panels = [_panel(reader, flaw, candidates, matched, skill) for flaw, candidates in flaws.items()]
    names = ", ".join(panel.title for panel in panels)
    unit = ", %" if skill.unit == "share" else ""
    better = "higher" if skill.higher_is_better is not False else "lower"
    return [
        Figure(
            picture=frontiers(
                panels,
                x_label=f"{skill.title} on the clean test texts{unit} ({better} is better →)",
                higher_is_better=skill.higher_is_better is not False,
            ),
            alt=f"Small multiples of a flaw over {skill.title}: {names}. One curve for each method through its candidates, in order of "
            f"{skill.title}. {_verdict_counts(matched, skill)} All points are in the table.",
            caption=f"{_verdict_counts(matched, skill)} {_how_to_read(reader, panels, skill)}",
            table=_points_table(reader, flaws, skill),
        )
    ]


def _flaws(reader: Reader) -> dict[_Flaw, list[_Candidate]]:
    """Return the candidates of every flaw that is claimed, in the order of the claims; of every metric where none is."""
    rows: dict[_Flaw, dict[tuple[int, str, str, float], list[FrontierPoint]]] = {}
    for row in reader.record.frontiers:
        by_candidate = rows.setdefault((row.probe, row.metric, reader.slice_of(row)), {})
        by_candidate.setdefault((reader.place(row.method), row.method, row.setting, row.share), []).append(row)
    claimed = dict.fromkeys((claim.probe, claim.metric, reader.slice_of(claim)) for claim in reader.record.claims)
    shown = [flaw for flaw in claimed if flaw in rows] or list(rows)
    settings = setting_titles(reader.record.tuning)
    return {
        flaw: [
            _Candidate(
                method=method, setting=_setting(settings, method, setting, share), rows=tuple(rows[flaw][place, method, setting, share])
            )
            for place, method, setting, share in sorted(rows[flaw], key=lambda key: key[0])
        ]
        for flaw in shown
    }


def _setting(settings: Mapping[tuple[str, str], str], method: str, setting: str, share: float) -> str:
    title = settings.get((method, setting)) or isolated(setting)
    return title if share == 1 else f"{title}, after {100 * share:g}\N{NO-BREAK SPACE}% of training"


def _panel(reader: Reader, flaw: _Flaw, candidates: Sequence[_Candidate], matched: Sequence[Comparison], skill: Metric) -> Panel:
    metric = reader.metric(flaw[1])
    of_flaw = [row for row in matched if (row.probe, row.metric, reader.slice_of(row)) == flaw]
    compared = [
        (reader.place(row.candidate), scale(skill) * gap.skill_low, scale(skill) * gap.skill_high)
        for row in of_flaw
        if (gap := row.at_equal_skill) is not None and gap.skill_low is not None and gap.skill_high is not None
    ]
    return Panel(
        title=reader.metric_title(candidates[0].rows[0]),
        direction=_ARROWS[metric.higher_is_better],
        y_label=metric.title + AXIS_UNITS.get(metric.unit, ""),
        frontiers=[
            Frontier(
                model=reader.place(method),
                name=reader.title(method),
                points=[_point(found, metric, skill) for found in candidates if found.method == method],
            )
            for method in dict.fromkeys(found.method for found in candidates)
        ],
        untrained=_untrained(reader, flaw, skill),
        compared=compared,
    )


def _point(candidate: _Candidate, metric: Metric, skill: Metric) -> Point:
    rows, of_skill, of_flaw = candidate.rows, scale(skill), scale(metric)
    single = rows[0] if len(rows) == 1 else None

    def end(value: float | None, by: float) -> float | None:
        return None if value is None else by * value

    return Point(
        skill=of_skill * candidate.mean("skill"),
        flaw=of_flaw * candidate.mean("value"),
        skill_low=None if single is None else end(single.skill_low, of_skill),
        skill_high=None if single is None else end(single.skill_high, of_skill),
        flaw_low=None if single is None else end(single.ci_low, of_flaw),
        flaw_high=None if single is None else end(single.ci_high, of_flaw),
        joined=all(row.joined for row in rows),
        chosen=any(row.chosen for row in rows),
        seeds=[(of_skill * row.skill, of_flaw * row.value) for row in rows],
    )


def _untrained(reader: Reader, flaw: _Flaw, skill: Metric) -> list[Frontier]:
    """Return the untrained models as points of their own, where both numbers were measured."""
    probe, name, slice = flaw
    found = []
    for model in sorted(reader.untrained, key=reader.place):
        on_skill = reader.get(SKILL, skill.name, CLEAN, "clean", model)
        on_flaw = reader.get(probe, name, slice, "clean", model)
        if on_skill is None or on_flaw is None or on_skill.value is None or on_flaw.value is None:
            continue
        by, of_flaw = scale(skill), scale(on_flaw.metric)
        one = len(on_skill.values) == 1 and len(on_flaw.values) == 1
        point = Point(
            skill=by * on_skill.value,
            flaw=of_flaw * on_flaw.value,
            skill_low=by * on_skill.low if one and on_skill.low is not None else None,
            skill_high=by * on_skill.high if one and on_skill.high is not None else None,
            flaw_low=of_flaw * on_flaw.low if one and on_flaw.low is not None else None,
            flaw_high=of_flaw * on_flaw.high if one and on_flaw.high is not None else None,
        )
        found.append(Frontier(model=reader.place(model), name=reader.title(model), points=[point]))
    return found


def _verdict_counts(matched: Sequence[Comparison], skill: Metric) -> str:
    """Say in counts what was decided on the frontiers."""
    if not matched:
        return "No claim was decided on these frontiers."
    told = (
        ("equivalent", "differ by less than the margin", "differs by less than the margin"),
        ("supported", "are better for the candidate by more than the margin", "is better for the candidate by more than the margin"),
        ("contradicted", "are worse for the candidate by more than the margin", "is worse for the candidate by more than the margin"),
        ("inconclusive", "are undecided", "is undecided"),
        ("not comparable", "are not comparable", "is not comparable"),
        ("not run", "have no verdict", "has no verdict"),
    )
    counts = {verdict: sum((row.verdict or "not run") == verdict for row in matched) for verdict, _, _ in told}
    parts = [f"{counts[verdict]} {one if counts[verdict] == 1 else many}" for verdict, many, one in told if counts[verdict]]
    return f"At equal {skill.title}, of {len(matched)} claim{'' if len(matched) == 1 else 's'} {', '.join(parts)}."


def _how_to_read(reader: Reader, panels: Sequence[Panel], skill: Metric) -> str:
    points = [point for panel in panels for frontier in panel.frontiers for point in frontier.points]
    parts = [f"A curve joins a method's candidates in order of {skill.title}; a ring marks the one that validation rows chose"]
    if any(not point.joined for point in points):
        parts.append(f"hollow: trained beyond the candidate of most {skill.title}, not joined, at the edge where it lies beyond the axis")
    if any(panel.compared for panel in panels):
        parts.append(f"shaded: {skill.title} that candidate and baseline both reach, on which they are compared, darker for several pairs")
    if len(reader.seeds) > 1:
        parts.append("points are means over seeds, small dots single seeds")
    else:
        crowded = max(len(panel.frontiers) for panel in panels) > FEW
        parts.append(f"whiskers: {reader.level} intervals over items, both ways{', of the chosen points only' if crowded else ''}")
    return f"{'; '.join(parts)}."


def _points_table(reader: Reader, flaws: Mapping[_Flaw, Sequence[_Candidate]], skill: Metric) -> Table:
    """Return every point: one row per candidate and one column per flaw."""
    candidates: dict[tuple[str, str], dict[_Flaw, _Candidate]] = {}
    for flaw, found in flaws.items():
        for candidate in found:
            candidates.setdefault((candidate.method, candidate.setting), {})[flaw] = candidate
    rows: list[tuple[TableCell, ...]] = []
    for (method, setting), by_flaw in candidates.items():
        first = next(iter(by_flaw.values()))
        marks = ("chosen" if any(row.chosen for row in first.rows) else "", "" if all(row.joined for row in first.rows) else "not joined")
        flaw_cells = [
            MISSING if flaw not in by_flaw else _cell(by_flaw[flaw], "value", "ci_low", "ci_high", reader.metric(flaw[1])) for flaw in flaws
        ]
        of_skill = _cell(first, "skill", "skill_low", "skill_high", skill)
        rows.append((reader.title(method), setting, ", ".join(filter(None, marks)) or MISSING, of_skill, *flaw_cells))
    return Table(
        caption=f"Every candidate: {skill.title} and flaws, with {reader.level} intervals over items"
        if len(reader.seeds) < 2
        else f"Every candidate: {skill.title} and flaws, means over seeds with each seed's value",
        columns=("Model", "Setting", "Mark", skill.title, *(reader.metric_title(found[0].rows[0]) for found in flaws.values())),
        align="lll" + "r" * (1 + len(flaws)),
        rows=tuple(rows),
        headers=2,
    )


def _cell(candidate: _Candidate, field: str, low: str, high: str, metric: Metric) -> Estimate:
    if len(candidate.rows) > 1:
        seeds = " · ".join(plain(float(getattr(row, field)), metric) for row in candidate.rows)
        return Estimate(text=value_text(candidate.mean(field), metric), below=f"seeds {seeds}")
    (row,) = candidate.rows
    interval = interval_text(getattr(row, low), getattr(row, high), metric)
    return Estimate(text=value_text(float(getattr(row, field)), metric), below=None if getattr(row, low) is None else interval)
