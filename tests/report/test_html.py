"""The document: what it holds, what it may load, what it does with hostile text, that it is a pure function."""

import base64
import dataclasses
import hashlib
import re

import lxml.html
import pytest
import synthetic_audit as synthetic
from lxml import etree
from synthetic_audit import SHA256, bare, parse

from balora_audit.errors import StoreError
from balora_audit.files import write_atomic
from balora_audit.report import render, render_html
from balora_audit.report.numbers import visible

TITLES = [
    "Summary", "Task skill", "Skill and flaws", "Verdicts",
    "Scope", "Model matrix", "Effects overview", "Noise robustness", "Imbalance and groups",
    "Representation collapse", "Knowledge drift", "lm-evaluation-harness results", "Samples", "Provenance",
    "Limits and glossary", "Crosswalk and sign-off",
]  # fmt: skip


def svgs(page):
    sources = page.xpath("//img/@src")
    return [base64.b64decode(source.removeprefix("data:image/svg+xml;base64,")) for source in sources]


def texts(page):
    return "".join(page.xpath("//body")[0].itertext())


def test_sections_stand_in_order_under_one_h1(page):
    assert len(page.xpath("//h1")) == 1
    found = [" ".join(heading.text_content().split()) for heading in page.xpath("//main//h2")]
    assert found == [f"{number} {title}" for number, title in enumerate(TITLES, start=1)]


def test_the_table_of_contents_reaches_every_section(page):
    targets = [link.removeprefix("#") for link in page.xpath("//nav//a/@href")]
    assert targets == page.xpath("//main/section/@id")


def test_the_policy_names_the_hash_of_the_only_style(html, page):
    (policy,) = page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode()
    assert policy == f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_nothing_is_loaded_and_nothing_runs(page):
    assert page.xpath("//script | //link | //iframe | //object | //form | //base | //svg") == []
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.xpath("//@src"))
    assert all(target.startswith("#") for target in page.xpath("//@href"))
    assert page.xpath("//@style") == []
    assert [name for name in page.xpath("//@*") if getattr(name, "attrname", "").startswith("on")] == []


def test_the_same_record_gives_the_same_bytes(audit, html):
    assert render_html(audit, audit_sha256=SHA256) == html


def test_another_hash_is_another_report(audit):
    small = bare(audit)
    assert render_html(small, audit_sha256=SHA256) != render_html(small, audit_sha256="f" * 64)


@pytest.mark.parametrize("wrong", ["", "xyz", "0" * 63, 'a"} body { display: none }' + "0" * 38])
def test_what_is_no_hash_cannot_reach_the_style(audit, wrong):
    with pytest.raises(ValueError, match="64 lower-case hexadecimal"):
        render_html(audit, audit_sha256=wrong)


def test_render_writes_the_report_of_the_file_beside_it(audit, tmp_path):
    small = bare(audit)
    write_atomic(tmp_path / "audit.json", small.to_json())
    digest = hashlib.sha256((tmp_path / "audit.json").read_bytes()).hexdigest()
    path = render(tmp_path)
    assert path == tmp_path / "report.html"
    assert path.read_text(encoding="utf-8") == render_html(small, audit_sha256=digest)
    assert digest in path.read_text(encoding="utf-8")
    assert render(tmp_path, tmp_path / "other.html").read_bytes() == path.read_bytes()


def test_render_without_an_audit_says_so(tmp_path):
    with pytest.raises(StoreError, match="does not exist"):
        render(tmp_path)


def test_the_audit_id_is_in_head_foot_and_margin(html, page):
    short = SHA256[:12]
    assert short in page.xpath("string(//header)")
    assert short in page.xpath("string(//footer)")
    assert f'@bottom-left {{ content: "balora-audit · audit {short}"' in html


def test_every_table_has_a_caption_scopes_and_a_reachable_region(page):
    tables = page.xpath("//table")
    assert tables
    for table in tables:
        assert table.xpath("string(caption)").strip()
        assert set(table.xpath(".//th/@scope")) <= {"row", "col"}
        assert len(table.xpath(".//th[not(@scope)]")) == 0
        (region,) = table.xpath("..")
        assert (region.get("role"), region.get("tabindex")) == ("region", "0")


def test_regions_have_distinct_names(page):
    names = page.xpath("//*[@role='region']/@aria-label")
    assert len(names) == len(set(names))


def test_every_figure_has_a_description_a_caption_and_a_size(page):
    figures = page.xpath("//figure")
    assert figures
    for figure in figures:
        assert len(figure.xpath("string(.//img/@alt)")) > 20
        assert len(figure.xpath("string(figcaption)")) > 20
        assert int(figure.xpath("string(.//img/@width)")) > 0
        assert int(figure.xpath("string(.//img/@height)")) > 0


def test_keyboards_can_skip_to_the_content(page):
    (first,) = page.xpath("//body/a[1]")
    assert first.get("href") == "#main"
    assert page.xpath("//main/@id") == ["main"]


@pytest.mark.parametrize("kind", synthetic.HOSTILE)
def test_hostile_text_is_shown_verbatim(hostile_page, kind):
    shown = visible(synthetic.HOSTILE[kind])
    for place in ("//section[@id='summary']", "//section[@id='models']", "//section[@id='samples']//td", "//section[@id='provenance']"):
        assert any(shown in node.text_content() for node in hostile_page.xpath(place)), place


def test_hostile_text_makes_no_element_and_no_link(hostile_page):
    assert hostile_page.xpath("//script | //img[not(starts-with(@src, 'data:'))] | //*[@onerror]") == []
    assert hostile_page.xpath("//a[starts-with(@href, 'javascript')]") == []
    assert "49" not in re.findall(r"\d+", hostile_page.xpath("string(//section[@id='models']//th[@scope='row'])"))


def test_no_control_character_reaches_the_page(hostile_text):
    html = render_html(bare(synthetic.hostile(hostile_text)), audit_sha256=SHA256)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", html)
    assert r"a\x00b\x1b[31m" in html


def test_hostile_labels_leave_figures_well_formed(hostile_page):
    pictures = svgs(hostile_page)
    assert pictures
    for svg in pictures:
        root = etree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert not [node for node in root.iter() if str(node.tag).endswith(("script", "foreignObject"))]
        assert "\u202e" not in "".join(root.itertext())


def test_text_that_reorders_cannot_reach_the_words_around_it(hostile_page):
    (cell,) = hostile_page.xpath("//section[@id='models']//tbody/tr[1]/th[1]/bdi")[:1]
    assert "\u202e" in cell.text_content()
    sentence = hostile_page.xpath("string(//p[@class='found'][1])")
    start, override = sentence.index("\u2068"), sentence.index("\u202e")
    assert start < override < sentence.index("\u2069", override) < sentence.index(" lost ")


def test_outside_text_is_isolated(hostile_page):
    for node in hostile_page.xpath("//main//td | //main//th | //main//dd | //p"):
        if "\u202e" in node.text_content():
            assert any("\u202e" in inner.text_content() for inner in node.xpath(".//bdi"))


def test_pages_stay_small():
    audit = synthetic.record(seeds=(0, 1, 2))
    assert len(render_html(audit, audit_sha256=SHA256).encode()) <= 1_500_000


def test_samples_are_cut_and_say_so(audit):
    table = synthetic.sample_table(("base", "lora"), rows=500, total=9000, input="word " * 5000)
    page = parse(dataclasses.replace(bare(audit), samples=(table,)))
    section = page.xpath("//section[@id='samples']")[0]
    assert "Showing 20 of 9,000." in section.text_content()
    assert "showing 1,200 of 25,000 characters" in section.text_content()
    assert len(section.xpath(".//tbody/tr")) == 20
    assert len(lxml.html.tostring(section)) < 100_000
