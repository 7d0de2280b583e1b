"""One palette and one marker per model for the whole report, and the settings that make figures byte-stable."""

from __future__ import annotations

import base64
import io
import warnings
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from balora_audit.report.numbers import visible

__all__ = ["GREY", "colour", "label", "marker", "new_figure", "uri"]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#A8558A", "#555555")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#6b7280"

_SETTINGS: Any = {
    "svg.hashsalt": "balora-audit",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9ca3af",
    "axes.labelcolor": "#374151",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "xtick.color": "#4b5563",
    "ytick.color": "#4b5563",
    "legend.frameon": False,
    "text.parse_math": False,
    "figure.dpi": 100,
}


def colour(index: int) -> str:
    """Return the colour of the model at a position in the audit's order."""
    return PALETTE[index % len(PALETTE)]


def marker(index: int) -> str:
    """Return the marker of the model at a position; with the colour it is unique for 35 models."""
    return MARKERS[(index + index // len(PALETTE)) % len(MARKERS)]


def label(text: str, most: int = 40) -> str:
    """Return outside text fit for a figure: one line, no control characters, cut where it would leave the picture."""
    shown = " ".join(visible(text).split())
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, sizes in inches. It belongs to no global state."""
    with rc_context(_SETTINGS):
        return Figure(figsize=(width, height), layout="constrained")


def settings() -> Any:
    """Return the context in which figures are drawn."""
    return rc_context(_SETTINGS)


def uri(figure: Figure) -> str:
    """Return the figure as a ``data:`` URI of SVG; the same figure always gives the same bytes."""
    buffer = io.BytesIO()
    with rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # hostile or exotic labels: a box is drawn
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
