"""The metrics of the package's own tasks, and those of the harness that nearly every task has (docs/lm-eval.md)."""

from __future__ import annotations

from dataclasses import replace

from balora_audit.metric import Metric

__all__ = ["BIAS_TYPES", "TASK_METRICS", "task_metric"]

BIAS_TYPES = (
    "age", "disability", "gender", "nationality", "physical-appearance", "race-color", "religion", "sexual-orientation", "socioeconomic",
)  # fmt: skip
"""Of CrowS-Pairs."""
_OCCUPATIONS = ("nurse", "teacher", "engineer", "lawyer", "chef", "surgeon", "journalist", "artist")
"""The classes of the generated balanced test."""

_NANGIA = "after Nangia et al. 2020, arXiv 2010.00133"
_BBQ = "Parrish et al. 2022, ACL Findings"
_LEANING = "Share of pairs whose more stereotypical text is the likelier one, a tie counting one half; 50 % is no leaning."

TASK_METRICS: tuple[Metric, ...] = (
    Metric(
        name="acc",
        title="accuracy",
        unit="share",
        higher_is_better=True,
        meaning="Share of documents whose right choice is the likeliest.",
        source="lm-evaluation-harness",
        skill="level",
    ),
    Metric(
        name="acc_norm",
        title="accuracy, normalised",
        unit="share",
        higher_is_better=True,
        meaning="Share of documents whose right choice is the likeliest when each log-likelihood is divided by the length of its choice.",
        source="lm-evaluation-harness",
        skill="level",
    ),
    *(
        Metric(
            name=f"recall_{name}",
            title=f"recall: {name}",
            unit="share",
            higher_is_better=True,
            meaning=f"Share of the documents of class {name} that are found.",
            source="METHODS §5",
            skill="level",
        )
        for name in _OCCUPATIONS
    ),
    Metric(
        name="label_logprob",
        title="log-probability of the label",
        unit="nats",
        higher_is_better=True,
        meaning="Mean log-probability of the right label among the choices.",
        source="docs/lm-eval.md",
        skill="level",
    ),
    Metric(
        name="bits_per_byte",
        title="bits per byte",
        unit="number",
        higher_is_better=False,
        meaning="Negative log-likelihood of the texts in bits, over their bytes.",
        source="lm-evaluation-harness",
    ),
    Metric(
        name="byte_perplexity",
        title="perplexity per byte",
        unit="number",
        higher_is_better=False,
        meaning="Exponential of the negative log-likelihood per byte.",
        source="lm-evaluation-harness",
    ),
    Metric(
        name="word_perplexity",
        title="perplexity per word",
        unit="number",
        higher_is_better=False,
        meaning="Exponential of the negative log-likelihood per word.",
        source="lm-evaluation-harness",
    ),
    Metric(
        name="pct_stereotype",
        title="stereotypical texts",
        unit="share",
        higher_is_better=None,
        meaning=_LEANING,
        source=_NANGIA,
    ),
    *(
        Metric(
            name=f"pct_stereotype_{name.replace('-', '_')}",
            title=f"stereotypical texts: {name}",
            unit="share",
            higher_is_better=None,
            meaning=f"The share of stereotypical texts among pairs about {name}; 50 % is no leaning.",
            source=_NANGIA,
        )
        for name in BIAS_TYPES
    ),
    Metric(
        name="pct_stereotype_per_byte",
        title="stereotypical texts, per byte",
        unit="share",
        higher_is_better=None,
        meaning="The share of stereotypical texts when each log-likelihood is divided by the bytes of its text; 50 % is no leaning.",
        source=_NANGIA,
    ),
    Metric(
        name="signed_diff",
        title="signed difference",
        unit="nats",
        higher_is_better=None,
        meaning="Mean log-likelihood of the more stereotypical text minus that of the other one; 0 is no leaning, and "
        "opposite leanings cancel.",
        source="docs/lm-eval.md",
    ),
    Metric(
        name="signed_diff_per_byte",
        title="signed difference, per byte",
        unit="nats",
        higher_is_better=None,
        meaning="The same of log-likelihoods per byte; 0 is no leaning.",
        source="docs/lm-eval.md",
    ),
    Metric(
        name="acc_ambiguous",
        title="accuracy, ambiguous",
        unit="share",
        higher_is_better=True,
        meaning="Share of the questions that cannot be answered that get the answer unknown.",
        source=_BBQ,
        skill="level",
    ),
    Metric(
        name="acc_disambiguated",
        title="accuracy, disambiguated",
        unit="share",
        higher_is_better=True,
        meaning="Share of the questions that the text answers that are right.",
        source=_BBQ,
        skill="level",
    ),
    Metric(
        name="bias_ambiguous",
        title="bias score, ambiguous",
        unit="ratio",
        higher_is_better=None,
        meaning="Stereotypical minus other answers among those that name a person, times the share of wrong answers; 0 is no bias.",
        source=_BBQ,
        skill="follows",
    ),
    Metric(
        name="bias_disambiguated",
        title="bias score, disambiguated",
        unit="ratio",
        higher_is_better=None,
        meaning="Stereotypical minus other answers among those that name a person; 0 is no bias, 1 every answer follows the stereotype.",
        source=_BBQ,
    ),
    Metric(
        name="invalid",
        title="invalid answers",
        unit="share",
        higher_is_better=False,
        meaning="Share of answers that name no choice, or more than one.",
        source="docs/lm-eval.md",
    ),
    Metric(
        name="undirected",
        title="undirected answers",
        unit="share",
        higher_is_better=None,
        meaning="Share of answers that name a person on whom the question carries no stereotype.",
        source="docs/lm-eval.md",
    ),
    Metric(
        name="gender_gap",
        title="gender gap",
        unit="ratio",
        higher_is_better=None,
        meaning="Accuracy with male minus accuracy with female pronouns in the same sentences; 0 is no gap.",
        source="Rudinger et al. 2018",
    ),
    Metric(
        name="gender_agreement",
        title="gender agreement",
        unit="share",
        higher_is_better=True,
        meaning="Share of sentences that get one answer whatever the gender of the pronoun.",
        source="Rudinger et al. 2018",
        skill="follows",
    ),
    Metric(
        name="labour_pearson",
        title="correlation with labour statistics",
        unit="ratio",
        higher_is_better=None,
        meaning="Over occupations: correlation of how much rather a female pronoun is taken for the occupation with its share "
        "of women; 0 is none.",
        source="Rudinger et al. 2018",
    ),
    Metric(
        name="labour_spearman",
        title="rank correlation with labour statistics",
        unit="ratio",
        higher_is_better=None,
        meaning="The same correlation of ranks; 0 is none.",
        source="Rudinger et al. 2018",
    ),
    Metric(
        name="pro_anti_gap",
        title="gap of pro- and anti-stereotypical sentences",
        unit="ratio",
        higher_is_better=None,
        meaning="Accuracy on pro- minus accuracy on anti-stereotypical forms of the same sentences; 0 is no gap.",
        source="Zhao et al. 2018",
    ),
)
_KNOWN = {metric.name: metric for metric in TASK_METRICS}


def task_metric(name: str) -> Metric:
    """Return the record of a task's metric; of one that only its task file knows, what can be said of any."""
    return _KNOWN.get(name) or replace(Metric.undescribed(name), source="lm-evaluation-harness")
