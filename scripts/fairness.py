"""Write the measured part of docs/fairness.md: frontiers on three tasks, and how many verdicts one learning rate gets wrong.

``python scripts/fairness.py --sst2 FOLDER --ag-news FOLDER`` audits LoRA, PiSSA, LoRA with BA-LoRA's penalties and BA-LoRA on the built-in
biographies, on SST-2 (train.tsv, dev.tsv: text, label) and on AG News (test.csv: class, title, text), then writes tables and figures.
What is finished is not computed again; with ``--read`` nothing is computed at all.
"""

from __future__ import annotations

import argparse
import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from balora_audit import compare, load
from balora_audit.files import write_atomic
from balora_audit.records import VERDICT_ICONS, AuditRecord, Comparison, Verdict
from balora_audit.report.numbers import change, digits, interval_text, value_text
from balora_audit.report.rows import Reader
from balora_audit.report.sections.frontier_figure import frontier_figure

MODELS = ("base", "lora", "pissa", "lora[+cr+dr+svdr]", "balora")
COMMON: dict[str, Any] = {"models": MODELS, "conditions": ("clean",), "tuning": {"learning_rate": (2e-4, 6e-4, 1.8e-3, 5.4e-3)}}
DECIDED: tuple[Verdict, ...] = ("supported", "contradicted")
TITLES = {"biographies": "Built-in biographies", "sst2": "SST-2", "ag-news": "AG News"}

MARK = "<!-- from here on written by scripts/fairness.py -->"


def main() -> None:
    """Run or read the audits, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sst2", type=Path, help="folder with train.tsv and dev.tsv")
    parser.add_argument("--ag-news", type=Path, help="folder with test.csv")
    parser.add_argument("--runs", type=Path, default=Path("fairness-runs"), help="where the run folders lie")
    parser.add_argument("--read", action="store_true", help="read what is there, compute nothing")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    given = parser.parse_args()
    configs = dict(_configs(given.sst2, given.ag_news))
    names = [name for name in TITLES if (given.runs / name / "audit.json").is_file()] if given.read else list(configs)
    records = {name: (load(given.runs / name) if given.read else compare(configs[name], out=given.runs / name)).record for name in names}
    if not records:
        parser.error(f"there is no finished run in {given.runs}")
    page = given.out / "fairness.md"
    prose, mark, _ = page.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        parser.error(f"{page} has no line {MARK!r}, behind which the measured part stands")
    parts = [prose.rstrip(), "", MARK, "", *_summary(records)]
    for name, record in records.items():
        parts += _section(name, record, given.out)
    write_atomic(page, "\n".join(parts).rstrip() + "\n")
    print(page)


def _configs(sst2: Path | None, ag_news: Path | None) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "biographies", {**COMMON, "frontier": {"kinds": 2}}
    small = {**COMMON, "train_rows": 160, "test_rows": 256, "tune_budget": 4}
    if sst2 is not None:
        yield (
            "sst2",
            {
                **small, "data": str(sst2 / "train.tsv"), "test_data": str(sst2 / "dev.tsv"), "columns": {"text": "0", "label": "1"},
                "label_names": ("negative", "positive"), "prompt": "Review: {text}\nSentiment:",
            },
        )  # fmt: skip
    if ag_news is not None:
        yield (
            "ag-news",
            {
                **COMMON, "train_rows": 120, "test_rows": 192, "data": str(ag_news / "test.csv"),
                "columns": {"text": "2", "label": "0"},
                "label_names": {"1": "World", "2": "Sports", "3": "Business", "4": "Technology"}, "prompt": "{text}\nTopic:",
            },
        )  # fmt: skip


def _claims(record: AuditRecord) -> list[Comparison]:
    return [row for row in record.comparisons if row.claim is not None and row.at_equal_skill is not None]


def _summary(records: dict[str, AuditRecord]) -> list[str]:
    lines = [
        "## How often one rate misleads",
        "",
        "Each claim between two tuned methods, at every rate of the grid: does the verdict at that rate agree with the one at equal skill?",
        "*Reversed*: one says better, the other worse. *By the rate alone*: better or worse at that rate, at equal skill neither.",
        "*Missed*: the other way round.",
        "",
        "| task | claims at equal skill | single-rate verdicts | the same | reversed | by the rate alone | missed |",
        "|---|---|---|---|---|---|---|",
    ]
    total: Counter[str] = Counter()
    for name, record in records.items():
        counts = _counts(_claims(record))
        total.update(counts)
        lines.append(_count_row(TITLES[name], counts))
    if len(records) > 1:
        lines.append(_count_row("**all**", total))
    return [*lines, ""]


def _counts(rows: Sequence[Comparison]) -> Counter[str]:
    found: Counter[str] = Counter(claims=len(rows))
    for row in rows:
        for single in row.single_rates:
            found["verdicts"] += 1
            found["same"] += single.verdict == row.verdict
            found["reversed"] += {single.verdict, row.verdict} == set(DECIDED)
            found["alone"] += single.verdict in DECIDED and row.verdict not in DECIDED
            found["missed"] += single.verdict not in DECIDED and row.verdict in DECIDED
    return found


def _count_row(title: str, counts: Counter[str]) -> str:
    verdicts = max(1, counts["verdicts"])
    shares = (f"{counts[name]} ({100 * counts[name] / verdicts:.0f} %)" for name in ("same", "reversed", "alone", "missed"))
    return f"| {title} | {counts['claims']} | {counts['verdicts']} | {' | '.join(shares)} |"


def _section(name: str, record: AuditRecord, out: Path) -> list[str]:
    reader = Reader(record, audit_sha256="0" * 64)
    data, model = record.provenance["data"], record.provenance["model"]
    figures = [block for block in frontier_figure(reader, _claims(record)) if hasattr(block, "picture")]
    lines = [
        f"## {TITLES[name]}",
        "",
        f"{model['name']}, {data['train_rows']} training, {data['validation_rows']} validation and {data['test_rows']} test texts, "
        f"{len(reader.seeds)} seed{'' if len(reader.seeds) == 1 else 's'}. Intervals are {reader.level} intervals over items.",
        "",
    ]
    for number, figure in enumerate(figures):
        path = Path("fairness") / (f"{name}.svg" if number == 0 else f"{name}-{number}.svg")
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(out / path, base64.b64decode(figure.picture.uri.partition(",")[2]))
        lines += [f"![{figure.alt}]({path.as_posix()})", "", figure.caption, ""]
    return [*lines, *_candidates(reader), *_verdicts(reader), *_attribution(reader)]


def _candidates(reader: Reader) -> list[str]:
    record, skill = reader.record, reader.skill
    assert record.tuning is not None
    assert skill is not None
    claimed = list(dict.fromkeys(row.metric for row in _claims(record)))
    heads = ["method", "setting", "validation loss", skill.title, *(reader.metric(metric).title for metric in claimed)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    order = [model.name for model in record.models]
    for candidate in sorted(record.tuning.candidates, key=lambda one: (order.index(one.method), one.seed, *one.values.values())):
        at = (candidate.method, candidate.setting, candidate.seed, 1)
        points = [point for point in record.frontiers if (point.method, point.setting, point.seed, point.share) == at]
        values = {point.metric: value_text(point.value, reader.metric(point.metric)) for point in points}
        accuracy = value_text(points[0].skill, skill) if points else "—"
        loss = candidate.reason if candidate.validation is None else digits(candidate.validation)
        chosen = f"**{candidate.setting}** (chosen)" if candidate.chosen else candidate.setting
        beyond = "" if not points or points[0].joined else " (beyond its most skilled)"
        cells = [reader.title(candidate.method), f"{chosen}{beyond}", str(loss), accuracy, *(values.get(metric, "—") for metric in claimed)]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", *(f"- {note}" for note in record.tuning.notes), ""]


def _verdicts(reader: Reader) -> list[str]:
    lines = [
        "| claim: the first is better | equal skill at | difference at equal skill | verdict | own best | single rates |",
        "|---|---|---|---|---|---|",
    ]
    skill = reader.skill
    assert skill is not None
    for row in _claims(reader.record):
        gap, metric = row.at_equal_skill, reader.metric(row.metric)
        assert gap is not None
        span = "—" if gap.skill_low is None else interval_text(gap.skill_low, gap.skill_high, skill)
        delta = (
            gap.reason
            if gap.delta is None
            else f"{change(gap.delta, metric)} ({interval_text(gap.ci_low, gap.ci_high, metric, signed=True)})"
        )
        singles = " ".join(VERDICT_ICONS[single.verdict] for single in row.single_rates)
        verdict = row.verdict or "not run"
        lines.append(
            f"| {reader.title(row.candidate)} beside {reader.title(row.baseline)}: {metric.title} | {span} | {delta} | "
            f"{VERDICT_ICONS[verdict]} {verdict} | {VERDICT_ICONS[row.own_best or 'not run']} | {singles} |"
        )
    return [*lines, ""]


def _attribution(reader: Reader) -> list[str]:
    effects = [effect for effect in reader.record.attribution if effect.term != "dose"]
    if not effects:
        return []
    lines = ["| metric | compared | initialisation | penalties | interaction |", "|---|---|---|---|---|"]
    for metric, at in dict.fromkeys((effect.metric, effect.at) for effect in effects):
        known = reader.metric(metric)
        if all(effect.delta is None for effect in effects if (effect.metric, effect.at) == (metric, at)):
            continue  # the verdicts above say why
        cells = []
        for term in ("initialisation", "penalties", "interaction"):
            effect = next(e for e in effects if (e.metric, e.at, e.term) == (metric, at, term))
            low, high = effect.ci_low, effect.ci_high
            cells.append(
                effect.reason or "—"
                if effect.delta is None
                else f"{change(effect.delta, known)} ({interval_text(low, high, known, signed=True)})"
            )
        lines.append(f"| {known.title} | {at} | {' | '.join(cells)} |")
    return ["What the principal initialisation does, what the penalties do, and how the two interact:", "", *lines, ""]


if __name__ == "__main__":
    main()
