"""Looking things up in a record: metrics, displays, slices, and what stands in for what it does not describe."""

import dataclasses

import pytest
from synthetic_audit import METRICS, SHA256, bare, measurement, parse

from balora_audit.metric import Metric
from balora_audit.records import ProbeRow
from balora_audit.report.rows import Reader
from balora_audit.slices import ALL, CLEAN, Slice

RTL = "\u202eLoRA"


def read(audit, **changes):
    return Reader(dataclasses.replace(audit, **changes), audit_sha256=SHA256)


def words(node):
    return " ".join(node.text_content().split())


def test_a_metric_is_what_the_audit_says_of_it(audit):
    assert read(audit).metric("tail_recall") == METRICS["tail_recall"]


def test_a_metric_that_the_audit_does_not_describe_is_shown_under_its_name(audit):
    assert read(audit).metric("likelihood_diff") == Metric.undescribed("likelihood_diff")
    assert read(audit).metric(f"likelihood_{RTL}").title == f"\u2068likelihood {RTL}\u2069"


def test_the_texts_of_a_metric_are_isolated(audit):
    odd = Metric(name="odd", title=RTL, unit="share", higher_is_better=None, meaning=RTL, source=RTL)
    found = read(audit, metrics=(odd,)).metric("odd")
    assert {found.title, found.meaning, found.source} == {f"\u2068{RTL}\u2069"}


def test_a_display_has_its_metrics_in_the_order_of_declaration(audit):
    reader = read(audit)
    assert reader.group("noise", "by kind") == ["severity_area", "relative_drop"]
    assert reader.group("noise", "no such display") == reader.group("no such probe", "curve") == []


def test_another_order_of_declaration_is_another_order_of_display(audit):
    turned = tuple(dataclasses.replace(probe, metrics=probe.metrics[::-1]) for probe in audit.probes)
    assert read(audit, probes=turned).group("noise", "by kind") == ["relative_drop", "severity_area"]


def test_a_probe_has_its_title_or_its_name(audit):
    reader = read(audit, probes=(ProbeRow(name="shout", title=RTL),))
    assert (reader.probe_title("shout"), reader.probe_title("noise")) == (f"\u2068{RTL}\u2069", "noise")


def test_slices_keep_their_order_and_parts_leave_out_the_whole(audit):
    rows = tuple(measurement(metric="accuracy", slice=text) for text in ("clean", "typo@3", "all", "class=a@b"))
    reader = read(audit, measurements=rows)
    assert reader.slices("drift", "accuracy", "clean") == [CLEAN, Slice("noise", "typo", 3), ALL, Slice("class", "a@b")]
    assert reader.parts("drift", "accuracy", "clean") == [Slice("noise", "typo", 3), Slice("class", "a@b")]


@pytest.mark.parametrize(
    ("slice", "title"), [("all", "recall"), ("clean", "recall"), ("class=a@b", "recall [a@b]"), ("typo@3", "recall [typo, severity 3]")]
)
def test_a_row_is_titled_by_its_metric_and_its_part(audit, slice, title):
    row = measurement(metric="recall", slice=slice)
    assert read(audit, measurements=(row,)).metric_title(row) == title


def test_the_untrained_model_stands_in_with_its_clean_row_but_where_the_training_rows_matter(audit):
    rows = tuple(measurement(method="base", probe="imbalance", metric=metric) for metric in ("balanced_accuracy", "tail_recall"))
    reader = read(audit, measurements=rows)
    assert reader.get("imbalance", "balanced_accuracy", ALL, "imbalance:20", "base").value == 0.5
    assert reader.get("imbalance", "tail_recall", ALL, "imbalance:20", "base") is None
    assert reader.get("imbalance", "balanced_accuracy", ALL, "imbalance:20", "lora") is None


def test_a_class_with_an_at_sign_is_printed_as_it_is(audit):
    rows = tuple(measurement(probe="imbalance", metric="recall", slice=f"class={name}") for name in ("a@b", "c@3"))
    missing = measurement(probe="imbalance", metric="recall", slice="class=d@4", value=None, reason="no such item")
    page = parse(dataclasses.replace(bare(audit), measurements=(*rows, missing)))
    heads = [words(cell) for cell in page.xpath("//section[@id='imbalance']//tbody/tr/th[2]")]
    assert heads == ["a@b", "c@3", "d@4"]
    assert "severity" not in words(page.xpath("//section[@id='imbalance']")[0])
    assert "recall [d@4]" in words(page.xpath("//section[@id='limits']")[0])


def test_two_audits_may_mean_different_things_by_one_name(audit):
    row = measurement(probe="shout", metric="loud", value=0.25)
    pages = []
    for unit, title in (("share", "flips when shouted"), ("nats", "rise when shouted")):
        loud = Metric(name="loud", title=title, unit=unit, higher_is_better=False, meaning="m", source="s")
        changes = {"measurements": (row,), "metrics": (loud,), "probes": (ProbeRow(name="shout", title=title.upper(), metrics=("loud",)),)}
        pages.append(words(parse(dataclasses.replace(bare(audit), **changes)).xpath("//section[@id='shout']")[0]))
    assert "FLIPS WHEN SHOUTED" in pages[0]
    assert "25.0\N{NO-BREAK SPACE}%".replace("\N{NO-BREAK SPACE}", " ") in pages[0]
    assert "RISE WHEN SHOUTED" in pages[1]
    assert "0.250" in pages[1]
    assert "flips" not in pages[1].lower()
