"""Frontiers of tuned methods in the report: every number, every mark, and nothing where nothing was tuned."""

import dataclasses

import pytest
import synthetic_audit as synthetic
from lxml import etree
from synthetic_audit import METRICS, SHA256, parse
from synthetic_tuning import RATES, setting, tuned
from test_figures import svg, words

from balora_audit.records import ModelRow, Tuning
from balora_audit.report.blocks import Details, Figure, Table
from balora_audit.report.figures_frontiers import FEW, Frontier, Panel, Point, frontiers
from balora_audit.report.numbers import change, digits, interval_text, value_text, visible
from balora_audit.report.rows import Reader
from balora_audit.report.sections.frontiers import FRONTIERS


@pytest.fixture(scope="module")
def small():
    return light(tuned(synthetic.record(models=("base", "lora", "balora"))))


@pytest.fixture(scope="module")
def blocks(small):
    return section(small).blocks


@pytest.fixture(scope="module")
def text(blocks):
    return text_of_blocks(blocks)


def light(audit):
    """Keep what the section reads and nothing that costs time to draw elsewhere."""
    shown = tuple(row for row in audit.measurements if row.condition == "clean" and row.slice in ("all", "clean"))
    return dataclasses.replace(audit, series=(), samples=(), measurements=shown)


def section(audit):
    return FRONTIERS.build(Reader(audit, audit_sha256=SHA256))


def tables(blocks):
    for block in blocks:
        if isinstance(block, Table):
            yield block
        elif isinstance(block, Figure) and block.table is not None:
            yield block.table
        elif isinstance(block, Details):
            yield from tables(block.blocks)


def text_of(audit):
    return text_of_blocks(section(audit).blocks)


def text_of_blocks(blocks):
    cells = [cell for table in tables(blocks) for row in table.rows for cell in row]
    parts = [str(getattr(cell, name, "") or "") for cell in cells for name in ("text", "below", "word")] + [
        c for c in cells if isinstance(c, str)
    ]
    notes = [note for table in tables(blocks) for note in (table.caption, *table.columns, *table.notes)]
    told = [str(getattr(block, name, "")) for block in blocks for name in ("text", "caption", "alt", "summary")]
    return " | ".join([*parts, *notes, *told]).replace("\N{NO-BREAK SPACE}", " ")


def shown(value):
    return value.replace("\N{NO-BREAK SPACE}", " ")


def test_every_point_is_in_the_table_at_printed_precision(small, text):
    for row in small.frontiers:
        metric = METRICS[row.metric]
        assert shown(value_text(row.value, metric)) in text
        assert shown(interval_text(row.ci_low, row.ci_high, metric)) in text
        assert shown(value_text(row.skill, METRICS["accuracy"])) in text
        assert shown(interval_text(row.skill_low, row.skill_high, METRICS["accuracy"])) in text


def test_every_gap_stands_with_its_range_verdict_and_stability(small, text):
    decided = [row for row in small.comparisons if row.at_equal_skill is not None]
    assert decided
    for row in decided:
        gap, metric = row.at_equal_skill, METRICS[row.metric]
        assert shown(change(gap.delta, metric)) in text
        assert shown(interval_text(gap.ci_low, gap.ci_high, metric, signed=True)) in text
        assert shown(value_text(gap.baseline_value, metric)) in text
    assert "51.2 to 76.2 %" in text
    assert "1 of 4 the same" in text
    assert "1 no verdict" in text


def test_every_candidate_has_its_loss_and_the_chosen_one_is_marked(small, text, blocks):
    for found in small.tuning.candidates:
        assert digits(found.validation) in text
        assert f"{digits(found.ci_low)} to {digits(found.ci_high)}" in text
    assert "learning rate 0.005" in text
    assert "LoRA: a remark" in text
    assert "96 rows that were set aside from training. Test data never choose." in text
    (whole,) = [table for table in tables(blocks) if table.caption.startswith("Every candidate: its loss")]
    marks = [row[1] for row in whole.rows if getattr(row[4], "word", "") == "chosen"]
    assert marks == ["learning rate 0.005"] * 2


def test_a_failed_candidate_says_why_and_has_no_loss(small):
    first = dataclasses.replace(small.tuning.candidates[0], validation=None, ci_low=None, ci_high=None, reason="the loss is not finite")
    changed = dataclasses.replace(small.tuning, candidates=(first, *small.tuning.candidates[1:]))
    text = text_of(dataclasses.replace(small, tuning=changed, frontiers=()))
    assert "the loss is not finite" in text
    assert "4, 1 failed" in text
    assert "failed" in text


def test_effects_stand_at_own_best_and_at_equal_skill(small, text):
    assert small.attribution
    for effect in small.attribution:
        metric = METRICS[effect.metric]
        assert shown(change(effect.delta, metric)) in text
        assert shown(interval_text(effect.ci_low, effect.ci_high, metric, signed=True)) in text
    assert "LoRA has neither, pissa the other initialisation, lora[+cr+dr+svdr] the penalties, BA-LoRA both" in text


def test_doses_have_a_table_of_their_own(small):
    dose = dataclasses.replace(
        small.attribution[-1], term="dose", models=("balora",), weights=(-1.0, 1.0), detail="consistency 0.1 beside 0"
    )
    text = text_of(dataclasses.replace(small, attribution=(dose,), frontiers=()))
    assert "consistency 0.1 beside 0" in text
    assert shown(change(dose.delta, METRICS[dose.metric])) in text
    assert "neither" not in text


def test_an_audit_without_effects_has_no_attribution(small, text):
    assert "Attribution" in text
    assert "Attribution" not in text_of(dataclasses.replace(small, attribution=(), frontiers=()))


def test_what_was_not_tuned_says_so_and_draws_nothing(small):
    built = section(dataclasses.replace(small, tuning=None, frontiers=(), attribution=()))
    (note,) = built.blocks
    assert note.text.startswith("Nothing was tuned")


def test_tuning_without_frontiers_still_shows_the_choices(small):
    text = text_of(dataclasses.replace(small, frontiers=(), attribution=()))
    assert "no frontiers to draw" in text
    assert "learning rate 0.005" in text


def test_a_grid_of_which_nothing_was_tried_is_no_error(small):
    empty = Tuning(metric="validation_nll", rows=0, axes={}, relative=False, candidates=(), choices={})
    assert section(dataclasses.replace(small, tuning=empty, frontiers=(), attribution=(), comparisons=())).blocks


def test_flaws_that_nobody_claims_are_drawn_where_none_is(small):
    figure = next(block for block in section(dataclasses.replace(small, claims=())).blocks if isinstance(block, Figure))
    assert all(METRICS[row.metric].title in figure.alt for row in small.frontiers)


def test_the_caption_counts_verdicts_and_explains_the_marks(small, blocks):
    figure = next(block for block in blocks if isinstance(block, Figure))
    decided = [row.verdict for row in small.comparisons if row.at_equal_skill is not None]
    assert f"At equal accuracy, of {len(decided)} claims" in figure.caption
    assert f"{decided.count('equivalent')} differ by less than the margin" in figure.caption
    for mark in ("ring", "hollow", "shaded", "whiskers"):
        assert mark in figure.caption
    assert figure.table is not None
    assert len(figure.alt) > 100


def test_several_seeds_are_means_with_each_seed_beneath():
    audit = light(tuned(synthetic.record(models=("base", "lora", "balora"), seeds=(0, 1, 2))))
    text = text_of(audit)
    of_one = [row for row in audit.frontiers if (row.method, row.setting, row.metric) == ("lora", setting(RATES[0]), "kl_per_token")]
    assert len(of_one) == 3
    assert digits(sum(row.value for row in of_one) / 3) in text
    assert "seeds " + " · ".join(digits(row.value) for row in of_one) in text
    assert "small dots single seeds" in text


def test_eight_models_fold_all_but_a_few_pairs():
    base = light(tuned(synthetic.record(models=("base", "lora", "balora"))))
    names = [f"method{number}" for number in range(7)]
    template = next(row for row in base.comparisons if row.at_equal_skill is not None)
    points = [row for row in base.frontiers if row.method == "lora"]
    audit = dataclasses.replace(
        base,
        models=(*base.models, *(ModelRow(name=name, title=name, method=name, initialisation="none") for name in names)),
        frontiers=(*base.frontiers, *(dataclasses.replace(row, method=name) for name in names for row in points)),
        comparisons=tuple(dataclasses.replace(template, candidate=name, claim=name) for name in names),
        attribution=(),
    )
    built = section(audit)
    (folded,) = [block for block in built.blocks if isinstance(block, Details) and "more pairs" in block.summary]
    assert folded.summary == "3 more pairs of methods at equal skill"
    figure = next(block for block in built.blocks if isinstance(block, Figure))
    assert "of the chosen points only" in figure.caption
    assert all(name in words(figure.picture) for name in names)


@pytest.fixture(scope="module")
def hostile_section(small, hostile_text):
    """The section of an audit with hostile text in every place of its own that takes text from outside."""
    odd = dataclasses.replace(small.tuning.candidates[0], setting=hostile_text, values={})
    failed = dataclasses.replace(small.tuning.candidates[1], validation=None, ci_low=None, ci_high=None, reason=hostile_text)
    audit = dataclasses.replace(
        small,
        tuning=dataclasses.replace(
            small.tuning, candidates=(odd, failed, *small.tuning.candidates[2:]), notes=(hostile_text,), axes={hostile_text: (1.0,)}
        ),
        models=tuple(dataclasses.replace(model, title=f"{model.name}{hostile_text}") for model in small.models),
        frontiers=tuple(dataclasses.replace(row, setting=hostile_text) for row in small.frontiers if row.metric == "kl_per_token")[:1],
        comparisons=tuple(row for row in small.comparisons if row.at_equal_skill is not None),
        measurements=(), floors=(), references=(),
    )  # fmt: skip
    return parse(audit).xpath("//section[@id='frontiers']")[0]


@pytest.mark.parametrize("kind", synthetic.HOSTILE)
@pytest.mark.parametrize("place", [".//td", ".//th[@scope='row']", ".//div[@class='under']", ".//p[contains(@class, 'note')]"])
def test_hostile_text_is_shown_verbatim(hostile_section, kind, place):
    assert any(visible(synthetic.HOSTILE[kind]) in node.text_content() for node in hostile_section.xpath(place))


def test_hostile_text_makes_no_element_and_is_isolated(hostile_section):
    assert hostile_section.xpath(".//script | .//a | .//*[@onerror]") == []
    for node in hostile_section.xpath(".//td | .//th | .//p"):
        if "\u202e" in node.text_content():
            assert any("\u202e" in inner.text_content() for inner in node.xpath(".//bdi"))


POINTS = [
    Point(skill=50.0, flaw=10.0, skill_low=45.0, skill_high=55.0, flaw_low=8.0, flaw_high=12.0, chosen=True, seeds=[(50.0, 10.0)]),
    Point(skill=60.0, flaw=20.0, seeds=[(60.0, 20.0)]),
    Point(skill=40.0, flaw=900.0, joined=False, seeds=[(40.0, 900.0)]),
]


def panel(models=2, **changes):
    curves = [Frontier(model=number, name=f"M{number} $x$", points=POINTS) for number in range(1, models + 1)]
    fields = {"title": "KL <b>", "direction": "lower is better ↓", "y_label": "nats", "frontiers": curves, "compared": [(2, 50.0, 60.0)]}
    return Panel(**{**fields, **changes})


@pytest.mark.parametrize("models", [1, FEW + 4])
@pytest.mark.parametrize("higher", [True, False])
def test_the_picture_is_byte_stable_and_well_formed(models, higher):
    drawn = frontiers([panel(models)] * 2, x_label="accuracy, %", higher_is_better=higher)
    assert drawn.uri == frontiers([panel(models)] * 2, x_label="accuracy, %", higher_is_better=higher).uri
    text = words(drawn)
    assert etree.fromstring(svg(drawn)).tag.endswith("svg")
    for expected in ("KL <b>", "lower is better ↓", "accuracy, %", "M1 $x$", "chosen by validation", "not on the frontier"):
        assert expected in text


def test_the_axis_of_a_flaw_reaches_as_far_as_the_frontiers_do():
    assert "900" not in words(frontiers([panel()], x_label="x"))
    assert "800" in words(
        frontiers([panel(frontiers=[Frontier(model=1, name="A", points=[*POINTS[:2], Point(skill=1.0, flaw=900.0)])])], x_label="x")
    )


def test_the_untrained_model_is_a_point_of_its_own():
    text = words(frontiers([panel(untrained=[Frontier(model=0, name="Base", points=POINTS[:1])])], x_label="x"))
    assert "Base, untrained" in text
