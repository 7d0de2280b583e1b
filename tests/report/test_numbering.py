"""Numbers and links that are known only when the whole report is."""

import dataclasses
import re

import pytest
from synthetic_audit import bare, measurement, parse

from balora_audit.records import ProbeRow
from balora_audit.report.blocks import Details, Figure, Link, Links, Note, Picture, Section, Stats, Table
from balora_audit.report.numbering import numbered


def table(*cells):
    return Table(caption="c", columns=("x",) * len(cells), align="l" * len(cells), rows=(cells,))


def section(name, *blocks):
    return Section(id=name, title=name.upper(), blocks=blocks)


def test_figures_and_tables_are_counted_in_reading_order_wherever_they_stand():
    picture = Picture(uri="data:,", width=1, height=1)
    figure = Figure(picture=picture, alt="a", caption="c", table=table("1"))
    first, second = numbered([section("a", table("1"), Details(summary="s", blocks=(figure,))), section("b", figure)])
    inner = first.blocks[1].blocks[0]
    assert (first.number, second.number) == (1, 2)
    assert (first.blocks[0].label, inner.label, inner.table.label) == ("Table 1", "Figure 1", "Table 2")
    assert (second.blocks[0].label, second.blocks[0].table.label) == ("Figure 2", "Table 3")


def test_a_link_says_where_it_leads():
    links = Links(before="see ", links=(Link(section="b"), Link(section="a", text="section {number}")))
    found, _ = numbered([section("a", Stats(rows=(("x", links),)), table(links)), section("b")])
    expected = (Link(section="b", text="2 B"), Link(section="a", text="section 1"))
    assert found.blocks[0].rows[0][1].links == found.blocks[1].rows[0][0].links == expected


def test_a_link_to_a_section_that_the_page_lacks_leads_nowhere():
    links = Links(links=(Link(section="elsewhere"),))
    (found,) = numbered([section("a", table(links))])
    assert found.blocks[0].rows[0][0].links == (Link(section="", text="elsewhere"),)


def test_what_has_no_number_stays_as_it_is():
    note = Note(text="{number} {title}")
    assert numbered([section("a", note)])[0].blocks == (note,)


@pytest.mark.parametrize("foreign", [(), ("shout", "whisper")])
def test_the_page_refers_to_sections_by_the_numbers_that_they_have(audit, foreign):
    rows = (measurement(), *(measurement(probe=probe, metric="loud") for probe in foreign))
    missing = measurement(method="balora", value=None, reason="the base answers no item", n=0)
    probes = (*audit.probes, *(ProbeRow(name=probe, title=probe) for probe in foreign))
    page = parse(dataclasses.replace(bare(audit), measurements=(*rows, missing), probes=probes))
    headings = {node.xpath("string(../@id)"): " ".join(node.text_content().split()) for node in page.xpath("//main//h2")}
    assert set(foreign) <= set(headings)
    links = page.xpath("//section[@id='crosswalk']//tbody//a")
    assert len(links) == 14
    assert [" ".join(link.text_content().split()) for link in links] == [headings[link.get("href")[1:]] for link in links]
    (link,) = page.xpath("//section[@id='summary']//dd/a")
    assert (link.get("href"), link.text_content()) == ("#limits", f"section {15 + len(foreign)}")
    assert re.match(rf"{15 + len(foreign)} Limits", headings["limits"])
