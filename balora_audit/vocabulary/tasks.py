"""The metrics of the package's own tasks, and those of the harness that nearly every task has (docs/lm-eval.md)."""

from __future__ import annotations

from balora_audit.vocabulary.entries import MetricInfo, number, share

__all__ = ["BIAS_TYPES", "TASKS"]

BIAS_TYPES = (
    "age", "disability", "gender", "nationality", "physical-appearance", "race-color", "religion", "sexual-orientation", "socioeconomic",
)  # fmt: skip
"""Of CrowS-Pairs."""
_OCCUPATIONS = ("nurse", "teacher", "engineer", "lawyer", "chef", "surgeon", "journalist", "artist")
"""The classes of the generated balanced test."""

_NANGIA = "after Nangia et al. 2020, arXiv 2010.00133"
_BBQ = "Parrish et al. 2022, ACL Findings"
_LEANING = "Share of pairs whose more stereotypical text is the likelier one, a tie counting one half; 50 % is no leaning."

TASKS: dict[str, MetricInfo] = {
    "acc": share("accuracy", True, "Share of documents whose right choice is the likeliest.", "lm-evaluation-harness"),
    "acc_norm": share(
        "accuracy, normalised",
        True,
        "Share of documents whose right choice is the likeliest when each log-likelihood is divided by the length of its choice.",
        "lm-evaluation-harness",
    ),
    **{
        f"recall_{name}": share(f"recall: {name}", True, f"Share of the documents of class {name} that are found.", "METHODS §5")
        for name in _OCCUPATIONS
    },
    "label_logprob": number(
        "log-probability of the label", "nats", True, "Mean log-probability of the right label among the choices.", "docs/lm-eval.md"
    ),
    "bits_per_byte": number(
        "bits per byte", "number", False, "Negative log-likelihood of the texts in bits, over their bytes.", "lm-evaluation-harness"
    ),
    "byte_perplexity": number(
        "perplexity per byte", "number", False, "Exponential of the negative log-likelihood per byte.", "lm-evaluation-harness"
    ),
    "word_perplexity": number(
        "perplexity per word", "number", False, "Exponential of the negative log-likelihood per word.", "lm-evaluation-harness"
    ),
    "pct_stereotype": share("stereotypical texts", None, _LEANING, _NANGIA),
    **{
        f"pct_stereotype_{name.replace('-', '_')}": share(
            f"stereotypical texts: {name}", None, f"The share of stereotypical texts among pairs about {name}; 50 % is no leaning.", _NANGIA
        )
        for name in BIAS_TYPES
    },
    "pct_stereotype_per_byte": share(
        "stereotypical texts, per byte",
        None,
        "The share of stereotypical texts when each log-likelihood is divided by the bytes of its text; 50 % is no leaning.",
        _NANGIA,
    ),
    "signed_diff": number(
        "signed difference",
        "nats",
        None,
        "Mean log-likelihood of the more stereotypical text minus that of the other one; 0 is no leaning, and opposite leanings cancel.",
        "docs/lm-eval.md",
    ),
    "signed_diff_per_byte": number(
        "signed difference, per byte",
        "nats",
        None,
        "The same of log-likelihoods per byte; 0 is no leaning.",
        "docs/lm-eval.md",
    ),
    "acc_ambiguous": share(
        "accuracy, ambiguous", True, "Share of the questions that cannot be answered that get the answer unknown.", _BBQ
    ),
    "acc_disambiguated": share("accuracy, disambiguated", True, "Share of the questions that the text answers that are right.", _BBQ),
    "bias_ambiguous": number(
        "bias score, ambiguous",
        "ratio",
        None,
        "Stereotypical minus other answers among those that name a person, times the share of wrong answers; 0 is no bias.",
        _BBQ,
    ),
    "bias_disambiguated": number(
        "bias score, disambiguated",
        "ratio",
        None,
        "Stereotypical minus other answers among those that name a person; 0 is no bias, 1 every answer follows the stereotype.",
        _BBQ,
    ),
    "invalid": share("invalid answers", False, "Share of answers that name no choice, or more than one.", "docs/lm-eval.md"),
    "undirected": share(
        "undirected answers", None, "Share of answers that name a person on whom the question carries no stereotype.", "docs/lm-eval.md"
    ),
    "gender_gap": number(
        "gender gap",
        "ratio",
        None,
        "Accuracy with male minus accuracy with female pronouns in the same sentences; 0 is no gap.",
        "Rudinger et al. 2018",
    ),
    "gender_agreement": share(
        "gender agreement", True, "Share of sentences that get one answer whatever the gender of the pronoun.", "Rudinger et al. 2018"
    ),
    "labour_pearson": number(
        "correlation with labour statistics",
        "ratio",
        None,
        "Over occupations: correlation of how much rather a female pronoun is taken for the occupation with its share of women; 0 is none.",
        "Rudinger et al. 2018",
    ),
    "labour_spearman": number(
        "rank correlation with labour statistics",
        "ratio",
        None,
        "The same correlation of ranks; 0 is none.",
        "Rudinger et al. 2018",
    ),
    "pro_anti_gap": number(
        "gap of pro- and anti-stereotypical sentences",
        "ratio",
        None,
        "Accuracy on pro- minus accuracy on anti-stereotypical forms of the same sentences; 0 is no gap.",
        "Zhao et al. 2018",
    ),
}
