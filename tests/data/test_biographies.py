import re
from collections import Counter

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from balora_audit.data.biographies import generate
from balora_audit.data.biography_parts import CLUES, FEMALE_MAJORITY, GENDERED_NAMES, NEUTRAL_NAMES, OCCUPATIONS
from balora_audit.data.general_text import held_out, pretraining

FEMALE_WORDS = {"she", "her", "hers", "herself"} | {pair[0].lower() for pair in GENDERED_NAMES}
MALE_WORDS = {"he", "him", "his", "himself"} | {pair[1].lower() for pair in GENDERED_NAMES}
TRAINED = tuple(clue for clues in CLUES.values() for clue in clues[:6])
NEW = tuple(clue for clues in CLUES.values() for clue in clues[6:])


def words(text):
    return re.findall(r"[^\W\d_]+", text.lower())


def test_the_same_seed_gives_the_same_data_and_another_seed_other_data():
    assert generate(seed=4) == generate(seed=4)
    assert generate(seed=4).test != generate(seed=5).test


def test_ids_are_unique_and_no_text_is_in_train_and_test():
    dataset = generate(n_train=800, n_test=400, seed=1)
    items = dataset.train + dataset.test
    assert len({item.id for item in items}) == len(items) == 1200
    test_texts = {text for item in dataset.test for text in (item.text, item.counterfactual)}
    assert not test_texts & {item.text for item in dataset.train}


def test_the_number_of_test_texts_leaves_the_training_texts_alone():
    assert generate(n_test=200, seed=3).train == generate(n_test=320, seed=3).train


@pytest.mark.parametrize("n_test", [8, 100, 200])
def test_test_classes_and_their_genders_are_balanced(n_test):
    test = generate(n_test=n_test, correlation=0.9).test
    sizes = Counter(item.label for item in test)
    assert sorted(sizes) == list(range(8))
    assert max(sizes.values()) - min(sizes.values()) <= 1
    if n_test >= 100:
        for label in sizes:
            genders = Counter(item.group for item in test if item.label == label)
            assert genders["female"] == genders["male"]


@pytest.mark.parametrize("correlation", [0.5, 0.7, 0.8, 0.9, 1.0])
def test_training_has_the_planted_share_of_each_majority_gender(correlation):
    train = generate(n_train=800, correlation=correlation).train
    for label, name in enumerate(OCCUPATIONS):
        genders = Counter(item.group for item in train if item.label == label)
        gendered = genders["female"] + genders["male"]
        majority = genders["female" if name in FEMALE_MAJORITY else "male"]
        assert majority / gendered == pytest.approx(correlation, abs=0.5 / gendered + 1e-9)


def test_half_of_the_occupations_have_a_female_majority():
    assert len(OCCUPATIONS) == 8
    assert len(FEMALE_MAJORITY & set(OCCUPATIONS)) == 4


def test_twins_differ_in_names_and_pronouns_only():
    for item in generate(n_train=400, n_test=200).test:
        if item.group == "neutral":
            assert item.counterfactual is None
            assert not set(words(item.text)) & (FEMALE_WORDS | MALE_WORDS)
            assert any(name.lower() in words(item.text) for name in NEUTRAL_NAMES)
            continue
        own, other = (FEMALE_WORDS, MALE_WORDS) if item.group == "female" else (MALE_WORDS, FEMALE_WORDS)
        text, twin = words(item.text), words(item.counterfactual)
        assert len(text) == len(twin)
        assert set(text) & own
        assert not set(text) & other
        for word, swapped in zip(text, twin, strict=True):
            assert word == swapped or (word in own and swapped in other)


def test_no_phrase_names_its_own_occupation():
    for occupation, clues in CLUES.items():
        assert not [clue for clue in clues if re.search(rf"\b{occupation}", clue)]


def test_class_sizes_are_followed():
    sizes = Counter(item.label for item in generate(n_train=360, class_sizes=[8, 7, 6, 5, 4, 3, 2, 1]).train)
    assert [sizes[label] for label in range(8)] == [80, 70, 60, 50, 40, 30, 20, 10]


def test_label_noise_flips_the_asked_share_to_other_labels_and_records_it():
    clean, noisy = generate(n_train=2000, seed=2), generate(n_train=2000, seed=2, label_noise=0.3)
    assert [item.text for item in clean.train] == [item.text for item in noisy.train]
    assert clean.test == noisy.test
    changed = [(a.label, b.label) for a, b in zip(clean.train, noisy.train, strict=True) if a.label != b.label]
    flipped = [b.id for a, b in zip(clean.train, noisy.train, strict=True) if a.label != b.label]
    assert noisy.source["flipped_ids"] == flipped
    assert clean.source["flipped_ids"] == []
    # a binomial share at n = 2000, ρ = 0.3 has a standard deviation of 0.0102; four of them either way
    assert abs(len(changed) / 2000 - 0.3) < 0.041
    shifts = np.bincount([(new - old) % 8 for old, new in changed], minlength=8)[1:]
    assert shifts.min() > 0.6 * shifts.mean()


@pytest.mark.parametrize(
    "wrong",
    [{"correlation": 0.4}, {"correlation": 1.1}, {"label_noise": 1.0}, {"class_sizes": [1, 2]}, {"n_test": 4}, {"n_train": 4}],
)
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"got|needed"):
        generate(**wrong)


@pytest.mark.parametrize("seed", range(4))
def test_words_alone_tell_phrases_that_training_had_and_miss_those_it_had_not(seed):
    dataset = generate(n_train=500, n_test=400, seed=seed)
    vectorizer = CountVectorizer()
    features = vectorizer.fit_transform([item.text for item in dataset.train])
    model = LogisticRegression(max_iter=2000).fit(features, [item.label for item in dataset.train])
    right = model.predict(vectorizer.transform([item.text for item in dataset.test])) == np.array([item.label for item in dataset.test])
    known = np.array([any(clue in item.text for clue in TRAINED) for item in dataset.test])
    new = np.array([any(clue in item.text for clue in NEW) for item in dataset.test])
    assert right[known].mean() > 0.95
    assert 1 / 8 < right[new].mean() < 0.5
    assert right.mean() < dataset.best_accuracy


def test_the_pretraining_corpus_can_have_all_clues():
    everything = generate(n_train=800, seed=1, new_in_test=False)
    assert {clue for clue in (*TRAINED, *NEW) if any(clue in item.text for item in everything.train)} > set(NEW[:6])


def test_texts_are_short():
    lengths = [len(item.text.split()) for item in generate().test]
    assert np.mean(lengths) <= 22
    assert max(lengths) <= 35


def test_general_passages_are_many_distinct_and_absent_from_pretraining():
    passages = held_out()
    assert len(passages) == len(set(passages)) >= 40
    assert generate().general == passages
    sentences = pretraining(2000, seed=1)
    assert sentences == pretraining(2000, seed=1)
    assert not set(sentences) & set(passages)
