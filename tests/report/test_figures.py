"""Pictures: the same bytes for the same numbers, nothing outside them, one colour and marker per model."""

import base64

import pytest
from lxml import etree

from balora_audit.report.figures import Line, curves, dots
from balora_audit.report.figures_effects import Effect, forest, scatter
from balora_audit.report.style import MARKERS, PALETTE, colour, label, marker

LINES = [
    Line(model=i, name=name, x=[0, 1, 3], y=[90.0, 80.0, 70.0 - i], low=[85.0, 75.0, 60.0], high=[95.0, 85.0, 80.0])
    for i, name in enumerate(("Base", "LoRA $x^2$"))
]
EFFECTS = [Effect(group="recall", text="A − B", model=1, candidate="A", delta=1.0, low=-1.0, high=3.0, margin=2.0)]
PICTURES = {
    "curves": lambda: curves({"typo": LINES, "ocr": LINES[:1]}, x_label="severity", y_label="accuracy, %"),
    "log": lambda: curves({"clean": LINES}, x_label="index", y_label="σ", log_y=True),
    "dots": lambda: dots({"clean": LINES}, ["nurse", "teacher", "chef", "<b>"], y_label="recall, %", zero=True),
    "forest": lambda: forest(EFFECTS, x_label="points"),
    "scatter": lambda: scatter({"Base": ([0.0, 1.0], [1.0, 2.0], ["a", "b"]), "LoRA": ([2.0], [0.0], ["a"])}),
}


def svg(picture):
    return base64.b64decode(picture.uri.removeprefix("data:image/svg+xml;base64,"))


def words(picture):
    return " ".join("".join(node.itertext()) for node in etree.fromstring(svg(picture)).iter("{http://www.w3.org/2000/svg}text"))


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_byte_stable(name):
    assert PICTURES[name]().uri == PICTURES[name]().uri


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_need_nothing_from_outside(name):
    text = svg(PICTURES[name]()).decode()
    references = etree.fromstring(text.encode()).xpath("//@*[local-name() = 'href']")
    assert all(reference.startswith(("#", "data:image/png;base64,")) for reference in references)
    assert "<script" not in text
    assert "<metadata" not in text


@pytest.mark.parametrize("name", PICTURES)
def test_every_reference_inside_a_picture_is_there(name):
    root = etree.fromstring(svg(PICTURES[name]()))
    ids = set(root.xpath("//@id"))
    used = {ref[1:] for ref in root.xpath("//@*[local-name() = 'href']") if ref.startswith("#")}
    used |= {clip.removeprefix("url(#").removesuffix(")") for clip in root.xpath("//@clip-path")}
    assert used <= ids


def test_outside_mathematics_stays_text():
    assert "LoRA $x^2$" in words(PICTURES["curves"]())


def test_a_logarithmic_axis_has_readable_ticks():
    found = words(curves({"a": [Line(model=0, name="A", x=[1, 2, 3], y=[1.0, 0.01, 0.0001])]}, x_label="i", y_label="σ", log_y=True))
    assert "10⁻²" in found
    assert "mathdefault" not in found


def test_the_legend_names_models_that_the_first_panel_lacks():
    assert "LoRA" in words(curves({"a": LINES[:1], "b": LINES[1:]}, x_label="x", y_label="y"))


def test_single_seeds_are_drawn_in_place_of_whiskers():
    line = Line(model=0, name="A", x=[0], y=[50.0], low=[40.0], high=[60.0], seeds=[[40.0, 60.0]])
    single = Line(model=0, name="A", x=[0], y=[50.0], low=[40.0], high=[60.0], seeds=[[50.0]])
    count = b"<use"
    assert svg(dots({"a": [line]}, ["g"], y_label="y")).count(count) > svg(dots({"a": [single]}, ["g"], y_label="y")).count(count)


def test_points_are_rasterised():
    assert b"<image" in svg(PICTURES["scatter"]())


def test_labels_are_one_short_line_without_reordering_marks():
    assert label("a\nb\x00\u202e" + "x" * 100, 20) == "a b\\x00\\u202exxxxxx…"


def test_colour_and_marker_together_are_unique():
    assert len({(colour(i), marker(i)) for i in range(len(PALETTE) * len(MARKERS))}) == 35


@pytest.mark.parametrize("tint", PALETTE)
def test_colours_stand_out_on_white(tint):
    channels = [int(tint[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    assert 1.05 / (luminance + 0.05) >= 3.0
