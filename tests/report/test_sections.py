"""What each section says of a record: its numbers, its gaps, its failures."""

import dataclasses

import pytest
import synthetic_audit as synthetic
from synthetic_audit import bare, measurement, parse

from balora_audit.metric import Metric
from balora_audit.records import CellRow, Failure, ProbeRow, Series, Units
from balora_audit.report.numbers import change, interval_text, value_text
from balora_audit.report.sections import SECTIONS
from balora_audit.report.sections.verdicts import BADGES


def section(page, name):
    return page.xpath(f"//section[@id='{name}']")[0]


def words(node):
    return " ".join(node.text_content().replace("\N{NO-BREAK SPACE}", " ").split())


@pytest.mark.parametrize("probe", ["skill", "noise", "imbalance", "collapse", "drift"])
def test_every_number_of_the_record_is_in_its_section(audit, page, probe):
    text = section(page, probe).text_content()
    rows = [row for row in audit.measurements if row.probe == probe and row.value is not None]
    assert rows
    missing = [row for row in rows if value_text(row.value, synthetic.METRICS[row.metric]) not in text]
    assert missing == []
    bounded = [row for row in rows if row.ci_low is not None]
    assert [row for row in bounded if interval_text(row.ci_low, row.ci_high, synthetic.METRICS[row.metric]) not in text] == []


def test_every_comparison_is_in_the_effects_table(audit, page):
    text = section(page, "effects").text_content()
    for row in (row if row.claim is None else row.deciding for row in audit.comparisons):
        if row.delta is not None:
            assert change(row.delta, synthetic.METRICS[row.metric]) in text
            assert interval_text(row.ci_low, row.ci_high, synthetic.METRICS[row.metric], signed=True) in text


def test_every_claim_has_one_card_with_icon_and_word(audit, page):
    cards = section(page, "verdicts").xpath(".//li[contains(@class, 'card')]")
    assert len(cards) == len(audit.claims)
    for verdict, badge in BADGES.items():
        expected = sum(row.verdict == verdict for row in audit.comparisons)
        shown = [words(card.xpath(".//*[@class='verdict']")[0]) for card in cards]
        assert shown.count(f"{badge.icon} {verdict}") == expected


def test_a_declared_claim_without_a_comparison_was_not_run(audit):
    page = parse(dataclasses.replace(bare(audit), comparisons=()))
    cards = section(page, "verdicts").xpath(".//li[contains(@class, 'card')]")
    assert {words(card.xpath(".//*[@class='verdict']")[0]) for card in cards} == {"∅ not run"}
    assert len(cards) == len(audit.claims)


def test_the_summary_counts_and_names_what_failed(audit):
    failed = CellRow(method="balora", condition="noise:0.3", seed=0, status="failed", reason="loss is not finite")
    record = dataclasses.replace(
        bare(audit),
        status="incomplete",
        units=Units(planned=64, completed=60),
        cells=(*audit.cells[:-1], failed, CellRow(method="lora", condition="clean", seed=7, status="skipped", reason="no memory")),
        errors=(Failure(unit="u", stage="train", message="loss is not finite", method="balora", condition="noise:0.3", seed=0),),
    )
    page = parse(record)
    text = words(section(page, "summary"))
    assert "60 of 64 completed" in text
    assert "BA-LoRA (30 % wrong labels), seed 0 failed in the stage “train”: loss is not finite" in text
    assert "LoRA (clean data), seed 7 skipped: no memory" in text
    assert "! failed" in words(section(page, "models"))
    assert "2 not carried out" in words(section(page, "scope"))


@pytest.mark.parametrize("probe", ["noise", "imbalance", "collapse", "drift"])
def test_a_probe_that_was_not_asked_for_says_so_and_draws_nothing(audit, probe):
    record = dataclasses.replace(
        audit,
        config={**audit.config, "probes": []},
        measurements=(),
        comparisons=(),
        series=tuple(series for series in audit.series if series.probe == "collapse"),
    )
    found = section(parse(record), probe)
    assert "Not measured: the probe was not asked for." in words(found)
    assert found.xpath(".//img | .//table") == []


def test_a_probe_without_values_gives_the_recorded_reason(audit):
    row = measurement(probe="imbalance", metric="balanced_accuracy", value=None, reason="generation data have no classes", n=0)
    found = section(parse(dataclasses.replace(bare(audit), measurements=(row,))), "imbalance")
    assert words(found).endswith("Not measured: generation data have no classes.")


def test_a_missing_value_is_a_dash_with_its_reason(audit):
    rows = (measurement(), measurement(method="balora", value=None, reason="the base answers no item", n=0))
    page = parse(dataclasses.replace(bare(audit), measurements=rows))
    assert "— retained was not measured: the base answers no item." in words(section(page, "drift"))
    assert "the base answers no item" in words(section(page, "limits"))


def test_an_estimate_outside_its_interval_is_pointed_out(audit):
    row = measurement(value=0.1, ci_low=0.2, ci_high=0.4)
    page = parse(dataclasses.replace(bare(audit), measurements=(row,)))
    assert "a value lies outside its own interval" in words(section(page, "drift"))


def test_several_seeds_show_the_mean_and_each_seed(audit):
    rows = tuple(measurement(seed=seed, value=value) for seed, value in ((0, 0.5), (1, 0.6), (2, 0.4)))
    text = words(section(parse(dataclasses.replace(bare(audit), measurements=rows)), "drift"))
    assert "50.0 %seeds 50.0 · 60.0 · 40.0" in text


def test_the_untrained_base_stands_beside_models_of_every_condition(audit):
    rows = (measurement(method="base", value=0.123), measurement(condition="noise:0.3", value=0.5))
    text = words(section(parse(dataclasses.replace(bare(audit), measurements=rows)), "drift"))
    noisy = text[text.index("trained on 30 % wrong labels") :]
    assert "12.3 %" in noisy


def test_base_rows_do_not_stand_in_for_metrics_of_the_training_labels(audit):
    common = {"probe": "imbalance", "metric": "tail_recall"}
    rows = (measurement(method="base", value=0.123, **common), measurement(condition="imbalance:20", value=0.5, **common))
    text = words(section(parse(dataclasses.replace(bare(audit), measurements=rows)), "imbalance"))
    assert "12.3 %" not in text[text.index("trained on imbalance 20:1") :]


def test_generation_data_have_curves_of_the_response(audit):
    rows = tuple(
        measurement(probe="noise", metric="response_nll", slice=slice, value=value, higher_is_better=False)
        for slice, value in (("clean", 1.234), ("typo@1", 1.345), ("typo@5", 1.456))
    )
    found = section(parse(dataclasses.replace(bare(audit), measurements=rows)), "noise")
    assert len(found.xpath(".//img")) == 1
    assert "1.23" in words(found)
    assert "1.46" in words(found)


def test_the_harness_section_says_when_it_did_not_run(page):
    assert words(section(page, "harness")).endswith("Not run: no lm-evaluation-harness task is part of this audit.")


def test_harness_rows_of_unknown_metrics_are_shown(audit):
    row = measurement(probe="harness", metric="likelihood_diff", slice="arc_easy (version 1.0, 0 shots)", value=0.4321)
    text = words(section(parse(dataclasses.replace(bare(audit), measurements=(row,))), "harness"))
    assert "arc_easy (version 1.0, 0 shots)" in text
    assert "likelihood diff" in text
    assert "0.432" in text


def test_evidence_is_named_but_never_linked(page):
    found = section(page, "noise")
    assert "samples/lora-clean-seed0.jsonl" in words(found)
    assert set(found.xpath(".//a/@href")) == {"#samples"}


def test_provenance_prints_any_nested_value(audit):
    odd = {
        "a": {"b": {"c": [1, {"d": None}], "long": "x" * 100}},
        "flag": True,
        "nothing": None,
        "many": {str(i): "y" * 9 for i in range(99)},
    }
    text = words(section(parse(dataclasses.replace(bare(audit), provenance=odd)), "provenance"))
    assert "x" * 100 in text
    assert "99 entries" in text or "99 entries, in audit.json" in text


def test_provenance_has_hashes_and_commands(audit, page):
    text = words(section(page, "provenance"))
    assert "7e" * 32 in text
    assert audit.provenance["commands"]["reproduce"] in text
    assert audit.provenance["commands"]["verify"] in text


def test_the_crosswalk_claims_nothing_and_carries_the_hash(page):
    text = words(section(page, "crosswalk"))
    assert "0123456789abcdef" * 4 in text
    assert "claims no conformity" in text


def test_the_glossary_explains_every_metric_used(audit, page):
    text = words(section(page, "limits"))
    assert all(synthetic.METRICS[row.metric].meaning in text for row in audit.measurements)


def test_every_term_of_the_loss_is_drawn_whatever_it_is_called(audit):
    steps = tuple(float(i) for i in range(1, 9))
    columns = {"step": steps, "total": steps, "task": steps, "spectral": steps, "novel \u202eterm": steps}
    series = Series(method="lora", condition="clean", seed=0, probe="training", name="losses", columns=columns)
    found = section(parse(dataclasses.replace(bare(audit), series=(series,))), "models")
    terms = [words(row.xpath("./th[2]")[0]) for row in found.xpath(".//table")[-1].xpath(".//tbody/tr")]
    assert terms == ["spectral, clean data", "\u2068novel \u202eterm\u2069, clean data"]


def test_a_metric_joins_a_display_by_what_its_record_says(audit):
    calm = Metric(name="calm", title="calmness", unit="share", higher_is_better=True, meaning="m", source="s", groups=("curve",))
    probes = tuple(dataclasses.replace(p, metrics=(*p.metrics, "calm")) if p.name == "noise" else p for p in audit.probes)
    rows = tuple(
        measurement(probe="noise", metric="calm", slice=slice, value=value)
        for slice, value in (("clean", 0.625), ("typo@1", 0.5), ("typo@5", 0.375))
    )
    record = dataclasses.replace(bare(audit), measurements=rows, metrics=(*audit.metrics, calm), probes=probes)
    found = section(parse(record), "noise")
    assert len(found.xpath(".//img")) == 1
    assert "Calmness by kind of noise and severity" in words(found)


def test_tsne_says_that_it_is_no_evidence(page):
    text = words(section(page, "collapse"))
    assert text.count("are not evidence, and no verdict rests on this picture") == 2
    assert "at perplexity 30" in text
    assert "at perplexity 10" in text


def test_a_projection_of_before_perplexities_were_named_is_still_drawn(audit):
    renamed = tuple(dataclasses.replace(s, name="tsne") for s in audit.series if s.name == "tsne:30")
    text = words(section(parse(dataclasses.replace(audit, series=renamed)), "collapse"))
    assert text.count("are not evidence") == 1
    assert "perplexity" not in text


def test_doses_stand_in_rising_order_with_what_clean_data_mean(audit, page):
    tables = {t.xpath("string(.//caption)"): t for t in page.xpath("//table")}
    by_ratio = next(table for caption, table in tables.items() if "imbalance ratio" in caption)
    heads = [words(cell) for cell in by_ratio.xpath(".//thead//th")]
    assert heads == ["Metric", "Model", "1", "20"]
    by_share = next(table for caption, table in tables.items() if "wrong training labels" in caption)
    assert [words(cell) for cell in by_share.xpath(".//thead//th")] == ["Metric", "Model", "0", "0.3"]
    wanted = next(m for m in audit.measurements if (m.method, m.metric, m.slice) == ("lora", "memorisation", "flips=noise:0.3"))
    assert value_text(wanted.value, synthetic.METRICS["memorisation"]).replace("\N{NO-BREAK SPACE}", " ") in words(by_share)


def test_without_two_doses_there_is_no_curve(audit):
    kept = tuple(m for m in audit.measurements if m.condition in ("noise:0.3", "clean") and not m.slice.startswith("flips="))
    page = parse(dataclasses.replace(audit, measurements=kept))
    assert not [caption for caption in page.xpath("//caption") if "wrong training labels" in words(caption)]


@pytest.mark.parametrize("condition", ["noise:much", "noise:", "noise:0.1+imbalance:20"])
def test_a_condition_that_is_no_single_dose_is_on_no_curve(audit, condition):
    rows = tuple(measurement(probe="noise", metric="memorisation", condition=c) for c in ("noise:0.1", "noise:0.3", condition))
    page = parse(dataclasses.replace(bare(audit), measurements=rows))
    (table,) = [t for t in section(page, "noise").xpath(".//table") if "share of wrong training labels" in words(t.xpath("./caption")[0])]
    assert [words(cell) for cell in table.xpath(".//thead//th")] == ["Metric", "Model", "0.1", "0.3"]


def test_weights_and_layers_are_shown_and_their_absence_is_said(audit, page):
    text = words(section(page, "collapse"))
    for expected in ("intruder dimensions", "Features by layer", "layer 4", "Weights by kind of module", "Principal angles"):
        assert expected in text
    kept = tuple(m for m in audit.measurements if m.metric not in synthetic.WEIGHTS)
    text = words(section(parse(dataclasses.replace(audit, measurements=kept)), "collapse"))
    assert "intruder dimensions: not measured in this audit" in text


def test_ranks_that_the_number_of_items_bounds_are_marked(audit, page):
    assert "no rank of theirs can exceed" not in words(section(page, "collapse"))  # 400 items, 200 singular values
    few = tuple(dataclasses.replace(m, n=200) for m in audit.measurements)
    assert "no rank of theirs can exceed 199" in words(section(parse(dataclasses.replace(audit, measurements=few)), "collapse"))


def test_noise_that_does_not_apply_is_named(audit):
    why = "this kind of noise applies to none of the texts"
    row = measurement(probe="noise", metric="accuracy_drop", slice="filler", value=None, reason=why)
    page = parse(dataclasses.replace(audit, measurements=(*audit.measurements, row)))
    assert f"Not measured: filler: {why}." in words(section(page, "noise"))


def test_small_groups_are_marked(audit):
    row = measurement(probe="imbalance", metric="accuracy", slice="group=other", value=0.25, n=4)
    page = parse(dataclasses.replace(audit, measurements=(*audit.measurements, row)))
    assert "Fewer than 5 test items, shown and never ranked or compared: other." in words(section(page, "imbalance"))


@pytest.mark.parametrize("text", ["Shouting", *synthetic.HOSTILE.values()])
def test_a_probe_from_elsewhere_has_a_section_and_its_words_are_inert(audit, text):
    loud = Metric(name="loud", title=text, unit="share", higher_is_better=False, meaning=text, source=text)
    shout = ProbeRow(name="shout", title=text, metrics=("loud",))
    row = measurement(probe="shout", metric="loud", value=0.25)
    changed = dataclasses.replace(bare(audit), measurements=(row,), probes=(*audit.probes, shout), metrics=(*audit.metrics, loud))
    page = parse(changed)
    assert "25.0" in words(section(page, "shout"))
    assert not page.xpath("//script")


def test_an_empty_audit_still_renders():
    empty = synthetic.record(
        models=(), status="empty", config={}, provenance={}, measurements=(), comparisons=(), claims=(), series=(), samples=(), cells=()
    )
    page = parse(empty)
    assert len(page.xpath("//main/section")) == len(SECTIONS)
    assert page.xpath("//img") == []
