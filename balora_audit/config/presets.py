"""The presets: what each one changes, and what it is for."""

from __future__ import annotations

from typing import Any, Literal

__all__ = ["PRESETS", "PRESET_SUMMARIES", "PresetName"]

PresetName = Literal["smoke", "quick", "standard", "full"]

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "model": "tiny",
        "tune": False,
        "train_rows": 320,
        "test_rows": 160,
        "training": {"epochs": 2, "batch_size": 16, "learning_rate": 3e-3},
        "noise": {"kinds": ("typo", "swap", "ocr", "word_drop"), "severities": (1, 3, 5)},
        "resamples": 1000,
    },
    "quick": {},
    "standard": {
        "seeds": (0, 1, 2),
        "train_rows": 800,
        "test_rows": 400,
        "noise": {
            "kinds": ("typo", "swap", "delete", "insert", "ocr", "homoglyph", "word_drop", "word_repeat"),
            "severities": (1, 3, 5),
        },
    },
    "full": {
        "models": ("base", "lora", "pissa", "balora"),
        "seeds": (0, 1, 2, 3, 4),
        "train_rows": 2000,
        "test_rows": 800,
        "training": {"epochs": 2},
        "conditions": ("clean", "noise:0.1", "noise:0.2", "noise:0.4", "imbalance:10", "imbalance:50", "imbalance:100"),
        "noise": {
            "kinds": (
                "typo", "swap", "delete", "insert", "case", "punctuation", "ocr", "homoglyph", "word_drop", "word_repeat",
                "filler", "contraction",
            ),
            "severities": (1, 2, 3, 4, 5),
        },
        "resamples": 10_000,
    },
}  # fmt: skip
"""What each preset changes; everything else keeps its default. ``quick`` *is* the defaults."""

PRESET_SUMMARIES: dict[str, str] = {
    "smoke": "the whole pipeline on a tiny shipped model, about a minute on two cores; for first contact and tests",
    "quick": "the default: SmolLM2-135M-Instruct, built-in biographies, one seed, tuned; 15 to 20 minutes on two cores",
    "standard": "three seeds, twice the data, eight kinds of noise; claims about methods need this or more",
    "full": "five seeds, four methods, more conditions and every kind and severity of noise; for a GPU",
}
