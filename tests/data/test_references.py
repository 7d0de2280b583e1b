import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

from balora_audit.data.biographies import generate
from balora_audit.data.dataset import Example
from balora_audit.data.references import bag_of_words, majority


def test_it_is_the_pipeline_that_it_says():
    data = generate(n_train=160, n_test=80, seed=1)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+")
    x = words.fit_transform([item.text for item in data.train])
    model = LogisticRegression(C=10.0, max_iter=2000).fit(x, [item.label for item in data.train])
    expected = model.predict(words.transform([item.text for item in data.test]))
    assert (bag_of_words(data.train, data.test, "classification") == expected).all()


def test_numbers_are_answered_by_ridge_regression_and_responses_not_at_all():
    items = [Example(id=str(i), text=f"{'good' if i % 2 else 'bad'} thing {i}", target=float(i % 2)) for i in range(40)]
    x = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+").fit_transform([item.text for item in items])
    expected = Ridge(alpha=1.0).fit(x, [item.target for item in items]).predict(x)
    assert bag_of_words(items, items, "regression") == pytest.approx(expected)
    assert bag_of_words(items, items, "generation") is None


def test_one_class_has_no_linear_model_and_ties_go_to_the_first_class():
    one = [Example(id=str(i), text=f"text {i}", label=1) for i in range(4)]
    assert bag_of_words(one, one, "classification") is None
    two = [*one, *(Example(id=f"b{i}", text="text", label=0) for i in range(4))]
    assert majority(two, one).tolist() == [0, 0, 0, 0]
