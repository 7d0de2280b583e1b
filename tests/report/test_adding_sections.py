"""A section is one file and one line in the table; from another package it is one entry point, and harms no other section."""

import dataclasses
import importlib.metadata
import sys
import types

import pytest
from synthetic_audit import SHA256, bare, measurement, parse

from balora_audit.records import ProbeRow
from balora_audit.report import render_html
from balora_audit.report.blocks import Note
from balora_audit.report.sections import SECTIONS, SectionBuilder, available


def titles(page):
    return [" ".join(node.text_content().split()) for node in page.xpath("//main//h2")]


def text_of(page, name):
    return " ".join(page.xpath(f"//section[@id='{name}']")[0].text_content().split())


def section(name, text="as loud as {models} models", **changes):
    def blocks(reader):
        return [Note(text=text.format(models=len(reader.models)))]

    return SectionBuilder(**{"name": name, "title": name.title(), "blocks": blocks, **changes})


@pytest.fixture
def install(monkeypatch):
    """Install packages that have one section each, by the names of their entry points."""

    def put(**things):
        module = types.ModuleType("section_of_another_package")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        vars(module).update(things)
        points = [importlib.metadata.EntryPoint(name, f"{module.__name__}:{name}", "balora_audit.sections") for name in things]
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: [point for point in points if point.group == group])

    return put


@pytest.fixture
def shouted(audit):
    """An audit with a probe that no section of this package shows."""
    probes = (*audit.probes, ProbeRow(name="shouting", title="Shouting"))
    return dataclasses.replace(bare(audit), measurements=(measurement(probe="shouting", metric="loud"),), probes=probes)


def test_every_section_stands_in_the_table_under_its_own_name():
    assert list(SECTIONS) == [builder.name for builder in SECTIONS.values()]


def test_one_line_adds_a_section(audit, monkeypatch):
    monkeypatch.setitem(SECTIONS, "loudness", section("loudness"))
    page = parse(bare(audit))
    assert titles(page)[-1] == "17 Loudness"
    assert text_of(page, "loudness").endswith("as loud as 3 models")


def test_an_entry_point_adds_a_section_after_the_one_it_names(audit, install):
    install(loudness=section("loudness", after="drift"), echo=section("echo", after="drift"))
    page = parse(bare(audit))
    assert titles(page)[10:14] == ["11 Knowledge drift", "12 Echo", "13 Loudness", "14 lm-evaluation-harness results"]
    assert text_of(page, "loudness").endswith("as loud as 3 models")


def test_nothing_is_registered(install):
    before = dict(SECTIONS)
    install(loudness=section("loudness"))
    assert list(available())[12] == "loudness"
    install()
    assert available() == before == SECTIONS


def test_a_probe_is_shown_by_its_own_section_where_that_is_installed_and_by_tables_elsewhere(shouted, install):
    assert text_of(parse(shouted), "shouting").startswith("13 Shouting Table")
    install(loudness=section("loudness", probe="shouting"))
    page = parse(shouted)
    assert "13 Loudness" in titles(page)
    assert page.xpath("//section[@id='shouting']") == []


def test_a_probe_that_is_called_like_a_section_still_has_one_of_its_own(audit):
    page = parse(dataclasses.replace(bare(audit), measurements=(measurement(probe="summary", metric="loud"),)))
    assert len(page.xpath("//section[@id='summary']")) == 1
    assert "50" in text_of(page, "probe-summary")


def test_a_section_that_raises_becomes_a_note_and_the_others_stay(audit, install):
    def broken(reader):
        raise KeyError("<b>no such thing")

    install(loudness=section("loudness", blocks=broken))
    page = parse(bare(audit))
    assert "could not be made: KeyError: '<b>no such thing'" in text_of(page, "loudness")
    assert len(titles(page)) == len(SECTIONS) + 1


@pytest.mark.parametrize("made", [["a text"], [None], None])
def test_a_section_that_makes_no_blocks_becomes_a_note(audit, install, made):
    install(loudness=section("loudness", blocks=lambda reader: made))
    assert "could not be made: TypeError" in text_of(parse(bare(audit)), "loudness")


@pytest.mark.parametrize(
    ("name", "thing"),
    [
        ("loudness", "not a section"),
        ("loudness", section("echo")),
        ("loudness", section("loudness", after="nowhere")),
        ("summary", section("summary")),
    ],
)
def test_what_is_no_section_is_left_out(audit, install, name, thing):
    before = render_html(bare(audit), audit_sha256=SHA256)
    install(**{name: thing})
    assert list(available()) == list(SECTIONS)
    assert render_html(bare(audit), audit_sha256=SHA256) == before
