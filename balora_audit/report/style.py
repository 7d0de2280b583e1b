"""One palette and one marker per model for the whole report, and the settings that make figures byte-stable."""

from __future__ import annotations

import base64
import io
import re
import warnings
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from balora_audit.report.blocks import Picture
from balora_audit.report.numbers import visible

__all__ = ["BAND", "GREY", "INK", "PALETTE", "SOFT", "WIDTH", "colour", "label", "marker", "new_figure", "picture", "settings"]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#A8558A", "#555555")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY, INK, SOFT, BAND = "#6b7280", "#1f2937", "#4b5563", "#e3e9f1"
WIDTH = 10.8
"""Inches that fill the page's column."""

_FONT = "DejaVu Sans"  # ships with matplotlib: layout never depends on the fonts of a machine
_PAGE_FONTS = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_CSS_PIXELS_PER_INCH = 96
_RASTER_DPI = 96
_OUR_ISOLATE = "\u2068\u2069"
_TAG = re.compile(r"<[^>]*>")
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_BETWEEN = re.compile(r">\s*\n\s*<")
_SHORTENED = (
    (re.compile(rf" ?font-family: '{_FONT}';?"), ""),
    (re.compile(r' id="(?:[a-zA-Z0-9.]+)_\d+"'), ""),
    (re.compile(r' transform="rotate\(-0 [^"]*"'), ""),
    (re.compile(r"(\d\d\.\d)\d+"), r"\1"),  # places on the page, in points
    (re.compile(r"(\d+\.\d\d)\d+"), r"\1"),
    (re.compile(r"\s+"), " "),
    (re.compile(r"([;:]) "), r"\1"),
    (re.compile(r' "'), '"'),
)
"""What is taken out of a tag. Ids with a number are matplotlib's names of artists; markers and clips have others."""

_SETTINGS: Any = {
    "svg.hashsalt": "balora-audit",
    "svg.fonttype": "none",
    "font.family": _FONT,
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9ca3af",
    "axes.labelcolor": SOFT,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "figure.dpi": _RASTER_DPI,
}


def colour(index: int) -> str:
    """Return the colour of the model at a position in the audit's order."""
    return PALETTE[index % len(PALETTE)]


def marker(index: int) -> str:
    """Return the marker of the model at a position; with the colour it is unique for 35 models."""
    return MARKERS[(index + index // len(PALETTE)) % len(MARKERS)]


def label(text: str, most: int = 40) -> str:
    """Return outside text fit for a figure: one line, every control character visible, cut before it leaves the picture."""
    shown = " ".join(visible(text.strip(_OUR_ISOLATE), directional=True).split())
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, sizes in inches. It belongs to no global state."""
    return Figure(figsize=(width, height), layout="constrained")


def settings() -> Any:
    """Return the context in which figures are made and drawn."""
    return rc_context(_SETTINGS)


def picture(figure: Figure) -> Picture:
    """Return the figure as SVG; the same figure always gives the same bytes.

    Text stays text, in the fonts of the page; places were reserved with a wider font. To be called within `settings`.
    """
    buffer = io.BytesIO()
    width, height = figure.get_size_inches()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # only the widths of exotic labels are guessed
        warnings.filterwarnings("ignore", message="constrained_layout not applied")  # hostile labels may leave no room
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    data = base64.b64encode(_slim(buffer.getvalue().decode("utf-8")).encode("utf-8")).decode("ascii")
    return Picture(
        uri=f"data:image/svg+xml;base64,{data}",
        width=round(float(width) * _CSS_PIXELS_PER_INCH),
        height=round(float(height) * _CSS_PIXELS_PER_INCH),
    )


def _slim(svg: str) -> str:
    """Set the page's fonts and leave out what only an editor would need: a third of the bytes, the same picture.

    Only tags are touched. Outside text is escaped between them, so that it has no ``<`` or ``>`` of its own.
    """
    svg = _METADATA.sub("", svg[svg.index("<svg") :], count=1).replace("</style>", f"text{{font-family:{_PAGE_FONTS}}}</style>", 1)
    svg = _TAG.sub(lambda found: _slim_tag(found.group()), svg)
    return _BETWEEN.sub("><", svg).replace("<g/>", "")


def _slim_tag(tag: str) -> str:
    if tag.startswith("<image"):
        return tag  # its data must stay as it is
    for pattern, short in _SHORTENED:
        tag = pattern.sub(short, tag)
    return tag
