"""A whole audit made up from a seeded generator: the shape of a real one, with numbers that mean nothing."""

import dataclasses

import lxml.html
import numpy as np
from synthetic_metrics import METRICS, PROBES

from balora_audit.records import (
    AuditRecord,
    CellRow,
    Claim,
    Comparison,
    Failure,
    Floor,
    Measurement,
    ModelRow,
    Reference,
    SampleRow,
    SampleTable,
    Series,
    Units,
)
from balora_audit.report import render_html

SHA256 = "0123456789abcdef" * 4
TITLES = {"base": "Base", "lora": "LoRA", "pissa": "PiSSA", "balora": "BA-LoRA"}
CONDITIONS = ("clean", "noise:0.3", "imbalance:20")
CLASSES = ("nurse", "teacher", "engineer", "lawyer", "chef", "surgeon")
KINDS, SEVERITIES = ("typo", "ocr", "word_drop"), (1, 3, 5)
SPECTRAL = (
    "effective_rank", "singular_value_entropy", "largest_singular_value_ratio", "stable_rank", "participation_ratio",
    "power_law_alpha", "iso_score", "anisotropy", "cka_to_base", "principal_angle_to_base", "nc1", "silhouette", "knn_accuracy",
)  # fmt: skip
PLAIN = (
    "tied_answers",
    "mce",
    "relative_drop",
    "realised_rate",
    "prior_shift",
    "nc1",
    "silhouette",
)  # numbers without an interval, never compared
WEIGHTS = ("weight_change", "weight_change_rank", "intruder_dimensions")
LAYERS = (0, 2, 4)
PAIRS = (("base", "lora"), ("base", "pissa"), ("base", "balora"), ("lora", "balora"), ("pissa", "balora"))
VERDICTS = ("supported", "contradicted", "equivalent", "inconclusive", "error")


IMBALANCE = (
    "balanced_accuracy", "worst_class_recall", "head_recall", "medium_recall", "tail_recall", "macro_f1", "g_mean",
    "prior_shift", "worst_group_accuracy", "tpr_gap_rms", "equalized_odds_difference", "demographic_parity_difference",
    "counterfactual_flip_rate", "counterfactual_shift",
)  # fmt: skip


def input_noise():
    graded = ("accuracy", "accuracy_drop", "relative_drop", "flip_rate", "realised_rate")
    found = [("noise", metric, f"{kind}@{severity}") for kind in KINDS for severity in SEVERITIES for metric in graded]
    found += [("noise", metric, kind) for kind in KINDS for metric in ("severity_area", "accuracy_drop", "relative_drop", "consistency")]
    found += [("noise", metric, "flips=noise:0.3") for metric in ("memorisation", "recovered_true")]
    overall = ("accuracy_under_noise", "survival", "severity_area", "accuracy_drop", "relative_drop", "flip_rate", "consistency", "mce")
    return found + [("noise", metric, "all") for metric in overall]


def slices(condition):
    """Return (probe, metric, slice) of every measurement under a condition."""
    found = [("skill", "accuracy", "clean"), ("skill", "tied_answers", "clean"), *(input_noise() if condition == "clean" else [])]
    if condition.startswith("noise:"):
        found += [("noise", metric, "all") for metric in ("memorisation", "recovered_true", "memorisation_excess")]
    else:
        found += [("imbalance", metric, f"class={name}") for name in CLASSES for metric in ("recall", "tpr_gap")]
        found += [("imbalance", "accuracy", f"group={group}") for group in ("female", "male")]
        found += [("imbalance", metric, "all") for metric in IMBALANCE]
        found += [("imbalance", "counterfactual_flip_rate", slice) for slice in ("class=nurse", "class=chef", "group=female", "group=male")]
    found += [("collapse", metric, "all") for metric in ("general_effective_rank", *SPECTRAL, *WEIGHTS)]
    found += [("collapse", metric, "module=q_proj") for metric in WEIGHTS]
    found += [("collapse", metric, f"layer={layer}") for layer in LAYERS for metric in ("effective_rank", "iso_score", "cka_to_base")]
    return found + [("drift", metric, "all") for metric in ("kl_per_token", "perplexity_ratio", "retained", "lost", "gained")]


def measurement(**changes):
    """Return one row; ``changes`` replace its fields."""
    fields = {
        "method": "lora", "condition": "clean", "seed": 0, "probe": "drift", "metric": "retained", "value": 0.5, "n": 10,
        "higher_is_better": True,
    }  # fmt: skip
    return Measurement(**{**fields, **changes})


def value_of(metric, rng):
    return float(rng.uniform(0.05, 0.95) if METRICS[metric].unit in ("share", "ratio") else rng.uniform(0.3, 60.0))


def measurements(models, seeds, rng):
    rows = []
    for condition in CONDITIONS:
        for method in models:
            if method == "base" and condition != "clean":
                continue
            for seed in seeds if method != "base" else seeds[:1]:
                for probe, metric, slice in slices(condition):
                    value = value_of(metric, rng)
                    if method == "base" and metric in WEIGHTS:
                        continue
                    with_interval = metric not in (*PLAIN, *WEIGHTS)
                    rows.append(
                        Measurement(
                            method=method, condition=condition, seed=seed, probe=probe, metric=metric, slice=slice, value=value,
                            ci_low=value * 0.9 if with_interval else None, ci_high=value * 1.1 if with_interval else None,
                            n=400, higher_is_better=METRICS[metric].higher_is_better,
                            evidence=f"samples/{method}-{condition}-seed{seed}.jsonl",
                        )
                    )  # fmt: skip
    return tuple(rows)


CLAIMED = (
    ("noise", "accuracy_drop", "clean", 0.01),
    ("noise", "memorisation", "noise:0.3", 0.05),
    ("imbalance", "tail_recall", "imbalance:20", 0.05),
    ("imbalance", "tpr_gap_rms", "clean", 0.05),
    ("collapse", "general_effective_rank", "clean", 1.0),
    ("drift", "kl_per_token", "clean", 0.02),
)


def claims(models):
    return tuple(
        Claim(
            id=f"{candidate}-vs-{baseline}:{probe}/{metric}", baseline=baseline, candidate=candidate, condition=condition, probe=probe,
            metric=metric, margin=margin, higher_is_better=bool(METRICS[metric].higher_is_better),
        )
        for baseline, candidate in PAIRS
        for probe, metric, condition, margin in CLAIMED
        if baseline in models and candidate in models
    )  # fmt: skip


def comparison(claim, n_seeds, verdict, rng):
    delta = float(rng.normal(0, 0.05)) * (1 if METRICS[claim.metric].unit == "share" else 20)
    reach = abs(float(rng.normal(0, 0.03)))
    failed = verdict == "error"
    return Comparison(
        claim=claim.id, baseline=claim.baseline, candidate=claim.candidate, condition=claim.condition, probe=claim.probe,
        metric=claim.metric, delta=None if failed else delta, ci_low=None if failed else delta - reach,
        ci_high=None if failed else delta + reach, p_value=None if failed else 0.0123, p_adjusted=None if failed else 0.0456,
        test=None if failed else "paired bootstrap over items", baseline_value=None if failed else 0.2,
        candidate_value=None if failed else 0.2 + delta, n_items=0 if failed else 400, n_seeds=n_seeds, margin=claim.margin,
        higher_is_better=claim.higher_is_better, verdict=verdict, reason="failed: balora" if failed else None,
    )  # fmt: skip


def exploratory(models, n_seeds, rng):
    rows = []
    for baseline, candidate in PAIRS:
        if baseline not in models or candidate not in models:
            continue
        for condition in CONDITIONS:
            for probe, metric, slice in slices(condition):
                if (
                    slice not in ("all", "clean")
                    or metric in (*PLAIN, *WEIGHTS)
                    or (probe, metric, condition) in [entry[:3] for entry in CLAIMED]
                ):
                    continue
                delta = float(rng.normal(0, 0.05))
                rows.append(
                    Comparison(
                        baseline=baseline, candidate=candidate, condition=condition, probe=probe, metric=metric, slice=slice, delta=delta,
                        ci_low=delta - 0.04, ci_high=delta + 0.03, p_value=float(rng.uniform()), test="McNemar exact", n_items=400,
                        n_seeds=n_seeds, higher_is_better=METRICS[metric].higher_is_better, baseline_value=0.3, candidate_value=0.3 + delta,
                    )
                )  # fmt: skip
    return rows


def series(models, seeds, rng):
    found = []
    for method in models:
        points = tuple(float(v) for v in rng.normal(size=300))
        labels = tuple(CLASSES[i % len(CLASSES)] for i in range(300))
        found += [
            Series(
                method=method, condition="clean", seed=seeds[0], probe="collapse", name=name,
                columns={"x": points, "y": points[::-1], "label": labels},
            )
            for name in ("tsne:30", "tsne:10")
        ]  # fmt: skip
        for condition in CONDITIONS:
            for seed in seeds:
                falling = np.sort(rng.gamma(0.5, size=200))[::-1]
                columns = {
                    "index": tuple(float(i + 1) for i in range(200)),
                    "sigma_normalised": tuple(float(v) for v in falling / falling.sum()),
                }
                common = {"method": method, "condition": condition, "seed": seed}
                found.append(Series(**common, probe="collapse", name="spectrum", columns=columns))
                curve = {"tokens": (16.0, 64.0, 256.0), "rank": tuple(float(v) for v in np.sort(rng.uniform(10, 90, 3)))}
                if condition == "clean":
                    found.append(Series(**common, probe="collapse", name="rank_curve", columns=curve))
                if method != "base":
                    few = {name: column[:8] for name, column in columns.items()}
                    found.append(Series(**common, probe="collapse", name="delta_spectrum", columns=few))
                    angles = {"index": few["index"], "radians": tuple(float(v) for v in np.sort(rng.uniform(0, 1.5, 8)))}
                    found.append(Series(**common, probe="collapse", name="principal_angles", columns=angles))
                if method != "base":
                    task = tuple(float(v) for v in np.exp(-np.arange(80) / 30) + rng.uniform(0, 0.2, 80))
                    steps = tuple(float(i) for i in range(1, 81))
                    found.append(Series(**common, probe="training", name="losses", columns={"step": steps, "total": task, "task": task}))
    return tuple(found)


def cells(models, seeds):
    return tuple(
        CellRow(
            method=method, condition=condition, seed=seed, status="complete", trainable_parameters=75_776 * (method != "base"),
            examples=320, steps=80, losses={"total": 0.512, "task": 0.498} if method != "base" else {}, wall_seconds=12.3,
            peak_memory_bytes=640_000_000,
        )
        for condition in CONDITIONS
        for method in models
        for seed in seeds
    )  # fmt: skip


def sample_table(models, *, condition="clean", rows=20, total=400, **changes):
    row = {"input": "She works on the ward at night.", "gold": "nurse", **changes}
    return SampleTable(
        probe="noise", condition=condition, title="Answers under typo@5", total=total, path="samples/base-clean-seed0.jsonl",
        rule="the 10 items on which the models' answers differ most, then a seeded random choice up to 20",
        rows=tuple(SampleRow(id=f"test-{i:05d}", answers=dict.fromkeys(models, "chef"), **row) for i in range(rows)),
    )  # fmt: skip


def references(seeds):
    best = Reference(name="best", title="best possible", metric="accuracy", value=0.84, n=400, note="exact: of the generator")
    trained = (
        Reference(
            name="bag-of-words", title="bag of words", metric="accuracy", condition=condition, seed=seed, value=0.47, ci_low=0.42,
            ci_high=0.52, n=400, note="TF-IDF",
        )
        for condition in CONDITIONS
        for seed in seeds
    )  # fmt: skip
    return (best, *trained)


def record(*, models=tuple(TITLES), seeds=(0,), seed=0, **changes):
    """Return a complete audit; ``changes`` replace its fields."""
    rng = np.random.default_rng(seed)
    declared = claims(models)
    decided = [comparison(claim, len(seeds), VERDICTS[i % len(VERDICTS)], rng) for i, claim in enumerate(declared)]
    fields = {
        "tool": {"name": "balora-audit", "version": "0.1.0"},
        "created": "2026-05-04T03:02:01Z",
        "status": "complete",
        "units": Units(planned=64, completed=64),
        "config": {
            "models": list(models), "conditions": list(CONDITIONS), "probes": ["noise", "imbalance", "collapse", "drift"],
            "seeds": list(seeds), "ci": 0.95, "resamples": 1000,
        },
        "provenance": {
            "model": {"name": "tiny", "files": {"model.safetensors": "7e" * 32}, "config": {"hidden_size": 128}},
            "data": {
                "name": "built-in biographies", "train_rows": 320, "test_rows": 400, "train_sha256": "a1" * 32, "rows_redrawn": True,
                "rows_per_seed": "drawn anew for every seed",
            },
            "seeds": list(seeds), "versions": {"python": "3.11.2", "torch": "2.13.0"}, "hardware": {"cpu": "x86", "cores": 2},
            "dtype": {"used": "float32"}, "determinism": "fixed seeds", "git_commit": None,
            "commands": {"reproduce": "balora-audit compare --config config.yaml", "verify": "balora-audit verify run"},
        },
        "models": tuple(
            ModelRow(name=name, title=TITLES[name], method=name, initialisation="none" if name == "base" else "B zero", rank=8, alpha=8.0)
            for name in models
        ),
        "probes": PROBES,
        "metrics": tuple(METRICS.values()),
        "cells": cells(models, seeds),
        "claims": declared,
        "measurements": measurements(models, seeds, rng),
        "comparisons": (*decided, *exploratory(models, len(seeds), rng)),
        "references": references(seeds),
        "floors": tuple(
            Floor(method=model, condition="clean", seed=0, probe="skill", metric="accuracy", slice="clean", change=0.0125)
            for model in models[-1:]
        ),
        "series": series(models, seeds, rng),
        "samples": (sample_table(models),),
        "warnings": ("one learning rate for all methods",),
    }  # fmt: skip
    return AuditRecord(**{**fields, **changes})


HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": '"><img src=x onerror=alert(2)>',
    "template": "{{7*7}} {% raw %}",
    "url": "javascript:alert(3)",
    "reordering": "abc\u202edef\u202c",
    "nul": "a\x00b\x1b[31m",
    "latex": r"$\frac{1}{2}$ \input{x} $",
    "long": "x" * 200,
    "xml": "]]></svg> & -- --> <!--",
    "script block": "日本語 עברית \U0001f600",
}


def hostile(text, *, seeds=(0,)):
    """Return an audit with one text in every place that takes text from outside."""
    plain = record(models=("base", "lora"), seeds=seeds)
    renamed = {
        "models": tuple(
            ModelRow(name=m.name, title=f"{m.name}{text}", method=m.method, initialisation=text, rank=8, alpha=8.0, target_modules=(text,))
            for m in plain.models
        ),
        "samples": (sample_table(("base", "lora"), input=text, gold=text, note=text),),
        "warnings": (text,),
        "errors": (Failure(unit="u", stage=text, message=text, method="lora", condition="clean", seed=0),),
        "provenance": {**plain.provenance, text: text, "model": {"name": text, text: {text: text}}},
        "measurements": (
            *plain.measurements,
            Measurement(
                method="lora", condition="clean", seed=0, probe="imbalance", metric="recall", slice=f"class={text}", value=0.5, n=9,
                higher_is_better=True, evidence=text,
            ),
            Measurement(
                method="lora", condition="clean", seed=0, probe="noise", metric="mce", slice=text, value=None, n=0, higher_is_better=False,
                reason=text,
            ),
        ),
    }  # fmt: skip
    return AuditRecord(**{**{name: getattr(plain, name) for name in plain.__slots__}, **renamed})


def parse(audit):
    return lxml.html.document_fromstring(render_html(audit, audit_sha256=SHA256))


def bare(audit):
    """The same audit without anything to draw, for tests that need no figures."""
    return dataclasses.replace(audit, series=(), comparisons=(), measurements=(), tuning=None, frontiers=(), attribution=())
