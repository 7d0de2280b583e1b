"""What a model of words alone, or none at all, answers: references beside which skill is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from balora_audit.data.dataset import Example, Task

__all__ = ["bag_of_words", "majority"]

_STRENGTH = 10.0


def majority(train: Sequence[Example], test: Sequence[Example]) -> NDArray[np.int64]:
    """Return the most frequent training class for every test example, (N,); of equally frequent ones the first."""
    counts = Counter(example.label for example in train if example.label is not None)
    most = min(counts, key=lambda label: (-counts[label], label))
    return np.full(len(test), most, dtype=np.int64)


def bag_of_words(train: Sequence[Example], test: Sequence[Example], task: Task) -> NDArray[np.float64] | NDArray[np.int64] | None:
    """Return the answers of a linear model on TF-IDF of words and pairs of words, trained on the same rows, (N,).

    Classes by logistic regression, numbers by ridge regression, with a fixed strength: a reference is not tuned. None for generation,
    where it has no answer, and where training has one class only.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline

    if task == "generation" or (task == "classification" and len({example.label for example in train}) < 2):
        return None
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+")
    texts, asked = [example.text for example in train], [example.text for example in test]
    if task == "regression":
        fitted = make_pipeline(words, Ridge(alpha=1.0)).fit(texts, [example.target for example in train])
        return np.asarray(fitted.predict(asked), dtype=np.float64)
    model = make_pipeline(words, LogisticRegression(C=_STRENGTH, max_iter=2000))
    return np.asarray(model.fit(texts, [example.label for example in train]).predict(asked), dtype=np.int64)
