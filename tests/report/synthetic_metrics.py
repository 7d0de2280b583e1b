"""The metrics of the made-up audit: records of the shape that probes declare, with meanings that only have to be told apart."""

from balora_audit.metric import Metric, Sentence
from balora_audit.records import ProbeRow

__all__ = ["METRICS", "PROBES"]

_SAID = {
    "accuracy": Sentence(form="{candidate} was {size} {word} accurate than {baseline}", less="less", more="more"),
    "survival": Sentence(
        form="{candidate} kept {size} {word} of its answers under noise than {baseline}, on items that both answer correctly on clean text",
        less="less",
        more="more",
    ),
    "accuracy_drop": Sentence(form="{candidate} lost {size} {word} accuracy than {baseline} under noise", less="less", more="more"),
    "relative_drop": Sentence(
        form="{candidate} lost {size} {word} of its clean accuracy than {baseline} under noise", less="less", more="more"
    ),
    "flip_rate": Sentence(form="{candidate} changed {size} {word} of its answers under noise than {baseline}", less="less", more="more"),
    "memorisation": Sentence(
        form="{candidate} repeated {size} {word} of the wrong training labels than {baseline}", less="less", more="more"
    ),
    "recovered_true": Sentence(
        form="{candidate} recovered {size} {word} of the true labels behind wrong ones than {baseline}", less="less", more="more"
    ),
    "tpr_gap_rms": Sentence(less="smaller", more="larger"),
    "counterfactual_flip_rate": Sentence(
        form="{candidate} changed {size} {word} of its answers than {baseline} when only the person's gender changes",
        less="less",
        more="more",
    ),
    "kl_per_token": Sentence(
        form="{candidate} moved {size} per token {word} from the base than {baseline} on general text", less="less far", more="further"
    ),
    "retained": Sentence(form="{candidate} kept {size} {word} of what the base gets right than {baseline}", less="less", more="more"),
}
_OF_TRAINING_ROWS = ("memorisation", "recovered_true", "head_recall", "medium_recall", "tail_recall")

_SKILLS = {"flip_rate": "follows", "accuracy_drop": "follows", "kl_per_token": "trained", "accuracy": "level"}
_MARGINS = {"accuracy": 0.02}

_DECLARED = {
    ("skill", "Task skill"): (
        ("accuracy", "accuracy", "share", True, "curve"),
        ("tied_answers", "tied answers", "share", None),
    ),
    ("noise", "Noise robustness"): (
        ("accuracy", "accuracy", "share", True, "curve"),
        ("accuracy_drop", "accuracy drop under noise", "share", False, "folded"),
        ("accuracy_under_noise", "accuracy under noise", "share", True),
        ("survival", "survival under noise", "share", True),
        ("severity_area", "area under the severity curve", "share", True, "by kind"),
        ("relative_drop", "relative drop", "share", False, "by kind", "folded"),
        ("mce", "mean corruption error", "ratio", False),
        ("flip_rate", "flip rate", "share", False, "folded"),
        ("consistency", "agreement among noisy copies", "share", True, "folded"),
        ("response_nll", "response NLL", "nats", False, "curve"),
        ("realised_rate", "realised noise rate", "share", None, "folded"),
        ("applicable_texts", "texts that the noise can change", "share", None, "folded"),
        ("memorisation", "memorised wrong labels", "share", False, "label noise"),
        ("recovered_true", "recovered true labels", "share", True, "label noise"),
        ("memorisation_excess", "memorisation excess", "share", False, "label noise"),
        ("token_accuracy", "token accuracy", "share", True, "curve"),
    ),
    ("imbalance", "Imbalance and groups"): (
        ("recall", "recall", "share", True),
        ("balanced_accuracy", "balanced accuracy", "share", True, "recall over imbalance"),
        ("head_recall", "head recall", "share", True, "recall over imbalance"),
        ("medium_recall", "medium recall", "share", True, "recall over imbalance"),
        ("tail_recall", "tail recall", "share", True, "recall over imbalance"),
        ("worst_class_recall", "worst-class recall", "share", True, "gap", "recall over imbalance"),
        ("tpr_gap_rms", "true-positive-rate gap (RMS)", "share", False, "gap", "over correlation"),
        ("equalized_odds_difference", "equalized-odds difference", "share", False, "gap", "over correlation"),
        ("counterfactual_flip_rate", "counterfactual flip rate", "share", False, "gap", "over correlation"),
        ("macro_f1", "macro F1", "share", True),
        ("g_mean", "G-mean", "share", True),
        ("prior_shift", "prior shift", "nats", False, "gap"),
        ("worst_group_accuracy", "worst-group accuracy", "share", True, "gap"),
        ("tpr_gap", "true-positive-rate gap", "share", None),
        ("counterfactual_shift", "counterfactual shift", "share", False, "gap"),
        ("demographic_parity_difference", "demographic-parity difference", "share", False, "gap"),
    ),
    ("collapse", "Representation collapse"): (
        ("effective_rank", "effective rank", "number", None, "by layer"),
        ("general_effective_rank", "effective rank on general text", "number", True, "headline"),
        ("iso_score", "IsoScore", "ratio", None, "by layer"),
        ("anisotropy", "anisotropy", "ratio", None, "by layer"),
        ("cka_to_base", "CKA to base", "ratio", None, "by layer"),
        ("principal_angle_to_base", "mean principal angle to base", "number", None, "by layer"),
        ("knn_accuracy", "nearest-neighbour accuracy", "share", True, "by layer"),
        ("singular_value_entropy", "singular value entropy (SVE)", "nats", None),
        ("largest_singular_value_ratio", "largest singular value ratio (LSVR)", "nats", None),
        ("stable_rank", "stable rank", "number", None),
        ("participation_ratio", "participation ratio", "number", None),
        ("nc1", "NC1", "number", None),
        ("power_law_alpha", "power-law exponent α", "number", None),
        ("silhouette", "silhouette of the classes", "ratio", None),
        ("weight_change", "relative weight change", "ratio", None, "weights"),
        ("weight_change_rank", "effective rank of the weight change", "number", None, "weights"),
        ("intruder_dimensions", "intruder dimensions", "number", False, "weights"),
    ),
    ("drift", "Knowledge drift"): (
        ("kl_per_token", "KL per token", "nats", False, "headline"),
        ("perplexity_ratio", "perplexity ratio", "ratio", False),
        ("retained", "retained", "share", True),
        ("lost", "lost", "share", False),
        ("gained", "gained", "share", True),
    ),
    ("harness", "lm-evaluation-harness tasks"): (),
}
"""(probe, its title) → name, title, unit, direction and displays of each metric, in the order in which a reader meets them."""

METRICS = {
    name: Metric(
        name=name, title=title, unit=unit, higher_is_better=higher, meaning=f"What {title} means.", source="made up",
        sentence=_SAID.get(name, Sentence()), groups=tuple(groups), of_training_rows=name in _OF_TRAINING_ROWS,
        skill=_SKILLS.get(name, "unrelated"), margin=_MARGINS.get(name),
    )
    for metrics in _DECLARED.values()
    for name, title, unit, higher, *groups in metrics
}  # fmt: skip
PROBES = tuple(ProbeRow(name=name, title=title, metrics=tuple(row[0] for row in rows)) for (name, title), rows in _DECLARED.items())
