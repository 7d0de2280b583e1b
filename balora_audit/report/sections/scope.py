"""What was asked, of what, and what was fixed before anything was computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from balora_audit.records import Claim, Tuning, claims_hash
from balora_audit.report.blocks import Block, Definitions, Details, Note, Table
from balora_audit.report.builder import SectionBuilder
from balora_audit.report.numbers import MISSING, condition_title, magnitude
from balora_audit.report.rows import Reader
from balora_audit.report.sections.summary import place
from balora_audit.report.settings import tried_words

__all__ = ["SCOPE"]


def _blocks(reader: Reader) -> list[Block]:
    """Return the question, the models, the data, the conditions, the declared claims and the deviations."""
    record = reader.record
    data, model, config = _mapping(record.provenance, "data"), _mapping(record.provenance, "model"), record.config
    conditions = dict.fromkeys([*_list(config.get("conditions")), *(cell.condition for cell in record.cells)])
    probes = dict.fromkeys([*_list(config.get("probes")), *(row.probe for row in record.measurements)])
    intervals = f"{reader.level}, paired over the same items and seeds"
    if config.get("resamples") is not None:
        intervals += f", {config['resamples']} resamples"
    rows = (
        ("Question", "Did fine-tuning inherit or amplify flaws of the base model, and which of these methods did it least?"),
        ("Base model", _joined(model.get("name"), model.get("origin"))),
        ("Data", _joined(data.get("name"), _sizes(data))),
        ("Models compared", ", ".join(reader.titles.values()) or MISSING),
        ("Training conditions", "; ".join(f"{condition_title(name)} [{name}]" for name in conditions) or MISSING),
        ("Probes", ", ".join(reader.probe_title(name) for name in probes) or MISSING),
        ("Seeds", _joined(", ".join(str(seed) for seed in reader.seeds), data.get("rows_per_seed"))),
        *((("Tuning", _tuning(record.tuning)),) if record.tuning is not None else ()),
        ("Intervals", intervals),
        ("Multiplicity", "Holm over the claims of each probe; verdicts rest on intervals and margins, not on p-values"),
        ("Deviations from the plan", _deviations(reader)),
    )
    if not record.claims:
        return [Definitions(rows=rows), Note(text="No claims were declared.")]
    claims = Table(
        caption=f"The {len(record.claims)} claims, with margins, as declared before anything was computed",
        columns=("Candidate", "Baseline", "Metric", "Trained on", "Better is", "Margin"),
        align="lllclr",
        rows=tuple(
            (
                reader.title(claim.candidate),
                reader.title(claim.baseline),
                reader.metric_title(claim),
                condition_title(claim.condition),
                "higher" if claim.higher_is_better else "lower",
                _margin(reader, claim),
            )
            for claim in record.claims
        ),
    )
    declared = record.provenance.get("claims_sha256")
    edited = declared is not None and declared != claims_hash(record.claims)
    warning = Note(text=f"These claims are not the ones that were declared before the run (SHA-256 {declared}).")
    proof = Note(text=f"SHA-256 of the claims as they were declared: {declared}.", tone="quiet")
    folded = Details(
        summary=f"The {len(record.claims)} declared claims and their margins",
        blocks=(claims, proof) if declared is not None and not edited else (claims,),
    )
    return [Definitions(rows=rows), *([warning] if edited else []), folded]


def _margin(reader: Reader, claim: Claim) -> str:
    """Return a declared margin: an amount, or a share of the base's value."""
    return f"{claim.margin:.3g} × the base" if claim.relative_margin else magnitude(claim.margin, reader.metric(claim.metric))


SCOPE = SectionBuilder(name="scope", title="Scope", blocks=_blocks)


def _tuning(tuning: Tuning) -> str:
    tried = tried_words(tuning) or "one setting"
    return f"{tried} for every tuned method, chosen on {tuning.rows:,} validation rows; claims between two of them at equal skill"


def _mapping(of: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = of.get(key)
    return found if isinstance(found, Mapping) else {}


def _list(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def _joined(*parts: object) -> str:
    return ", ".join(str(part) for part in parts if part) or MISSING


def _sizes(data: Mapping[str, Any]) -> str:
    known = [(data.get(f"{part}_rows"), name) for part, name in (("train", "training"), ("test", "test"))]
    return " and ".join(f"{count:,} {name} items" for count, name in known if isinstance(count, int))


def _deviations(reader: Reader) -> str:
    missed = [place(reader, cell) for cell in reader.record.cells if cell.status != "complete"]
    units = reader.record.units
    if missed:
        return f"{len(missed)} not carried out: {'; '.join(missed)}"
    if units.completed < units.planned:
        return f"{units.planned - units.completed} of {units.planned} planned measurements were not carried out"
    if reader.record.status != "complete":
        return "the summary has what went wrong"
    return "none: everything planned was carried out"
