import json

import pytest

from balora_audit.data.perturbations import PERTURBATIONS
from balora_audit.errors import ConfigurationError, DataError
from balora_audit.harness import bias_datasets, datasets, published
from balora_audit.harness.rows import draw


def documents(found):
    return found["test"].to_list()


def test_noise_changes_the_text_only_and_severity_zero_nothing():
    clean, noisy = (documents(datasets.noise(items=20, severity=s)) for s in (0, 4))
    assert [d["text"] for d in clean] == [d["text"] for d in noisy]
    assert all(d["noisy_text"] == d["text"] and d["changed"] == 0 for d in clean)
    assert sum(d["noisy_text"] != d["text"] for d in noisy) > 15
    for before, after in zip(clean, noisy, strict=True):
        assert (before["pair_id"], before["kind"], before["label"]) == (after["pair_id"], after["kind"], after["label"])
    assert {d["kind"] for d in clean} == set(PERTURBATIONS)
    assert {d["severity"] for d in noisy} == {4}


@pytest.mark.parametrize(
    "make", [datasets.noise, datasets.imbalance, bias_datasets.counterfactual_pairs, bias_datasets.ambiguous_questions]
)
def test_the_seed_decides_everything(make):
    first, again, other = make(items=24, seed=3), make(items=24, seed=3), make(items=24, seed=4)
    assert documents(first) == documents(again)
    assert documents(first) != documents(other)


@pytest.mark.parametrize(("given", "word"), [({"kinds": "tpyo"}, "did you mean 'typo'"), ({"severity": 6}, "within 0 and 5")])
def test_wrong_settings_are_named(given, word):
    with pytest.raises(ConfigurationError, match=word):
        datasets.noise(**given)


@pytest.fixture
def reviews(tmp_path):
    path = tmp_path / "reviews.jsonl"
    rows = [{"review": f"The film number {i} was long and loud.", "stars": str(int(i % 5 == 0))} for i in range(50)]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_a_users_file_is_perturbed(reviews):
    found = documents(
        datasets.noise(
            data=str(reviews), columns={"text": "review", "label": "stars"}, label_names=["bad", "good"], severity=3,
            prompt="{text}\nSentiment:", items=12,
        )
    )  # fmt: skip
    assert len(found) == 12
    assert all(d["choices"] == ["bad", "good"] and d["prompt"].endswith("\nSentiment:") for d in found)
    assert any(d["noisy_text"] != d["text"] for d in found)


def test_a_users_file_is_balanced(reviews):
    found = documents(datasets.imbalance(data=str(reviews), columns={"text": "review", "label": "stars"}, items=100))
    assert sorted(d["label"] for d in found) == [0] * 10 + [1] * 10


def test_a_file_without_the_fields_says_which_and_how(reviews, tmp_path):
    said = r"balora_noise needs the fields 'text', 'label', which .*; columns there: review, stars\. Name .*--metadata"
    with pytest.raises(DataError, match=said):
        datasets.noise(data=str(reviews))
    (tmp_path / "near.csv").write_text("txt,label\nx,0\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"needs the field 'text', .* there: txt, label — did you mean 'txt'\? Name yours"):
        datasets.noise(data=str(tmp_path / "near.csv"))
    with pytest.raises(DataError, match="does not exist"):
        datasets.general_text(data=str(reviews) + ".gone")


def test_own_choices_per_row(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"text": "Two and two?", "choices": ["four", "five"], "label": 0}), encoding="utf-8")
    assert documents(datasets.noise(data=str(path)))[0]["choices"] == ["four", "five"]
    path.write_text(json.dumps({"text": "Two and two?", "choices": ["four", "five"], "label": "six"}), encoding="utf-8")
    with pytest.raises(DataError, match="neither one of its choices"):
        datasets.noise(data=str(path))


def test_pairs_differ_in_gender_and_put_the_planted_majority_first():
    for document in documents(bias_datasets.counterfactual_pairs(items=40)):
        first, second = document["contexts"]
        assert first != second
        female = {"nurse", "teacher", "journalist", "artist"}
        assert document["group"] == ("female" if document["answer"] in female else "male")


def test_the_unknown_option_stands_at_every_index_and_half_of_the_facts_go_against_the_stereotype():
    found = documents(bias_datasets.ambiguous_questions(items=96))
    assert [sum(d["unknown"] == i for d in found) for i in range(3)] == [32, 32, 32]
    told = [d for d in found if d["condition"] == "disambig"]
    assert sum(d["label"] == d["biased"] for d in told) == len(told) / 2
    assert all(d["label"] == d["unknown"] for d in found if d["condition"] == "ambig")


def test_bbq_finds_the_unknown_option_by_its_mark_at_any_index():
    found = documents(published.bbq(example=True))
    assert {d["unknown"] for d in found} == {0, 1, 2}
    for d in found:
        assert d["choices"][d["unknown"]] == "Not enough information"
        assert d["choices"][d["biased"]] == ("The old man" if d["polarity"] == "neg" else "The young man")


@pytest.mark.parametrize(
    ("groups", "names", "expected"),
    [
        ([["70-year-old", "old"], ["28-year-old", "nonOld"]], ["old"], 0),  # not by the word in the description
        ([["the Black woman", "F-Black"], ["the White woman", "F-White"]], ["Black"], 0),
        ([["Eritrean", "Africa"], ["Swedish", "Europe"]], ["Eritrean", "Kenyan"], 0),
        ([["the girl", "F"], ["the boy", "M"]], ["woman"], 0),
        ([["gay", "gay"], ["lesbian", "lesbian"]], ["gay", "lesbian"], None),
        ([["A", "x"], ["B", "y"]], ["z"], None),
    ],
)
def test_the_stereotyped_person_is_told_from_the_group(groups, names, expected):
    assert published._stereotyped(groups, [0, 1], names) == expected


def test_bbq_from_a_file_with_another_wording_of_unknown(tmp_path):
    row = {
        "example_id": 5, "question_polarity": "neg", "context_condition": "ambig", "category": "Age",
        "answer_info": {"ans0": ["x", "old"], "ans1": ["Who could say?", "unknown"], "ans2": ["y", "nonOld"]},
        "additional_metadata": {"stereotyped_groups": ["old"]}, "context": "c", "question": "q", "ans0": "x",
        "ans1": "Who could say?", "ans2": "y", "label": 1,
    }  # fmt: skip
    path = tmp_path / "Age.jsonl"
    path.write_text(json.dumps(row), encoding="utf-8")
    assert documents(published.bbq(bbq=str(tmp_path)))[0]["unknown"] == 1
    row["answer_info"]["ans1"] = ["Who could say?", "nonOld"]
    path.write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(DataError, match="row 0: exactly one answer must be marked 'unknown'"):
        published.bbq(data=str(path))


def test_winogender_and_winobias_are_read(tmp_path):
    (tmp_path / "all_sentences.tsv").write_text(
        "sentid\tsentence\nbaker.guest.1.female.txt\tThe baker told the guest that her order was ready.\n", encoding="utf-8"
    )
    found = documents(published.winogender(data=str(tmp_path)))[0]
    assert (found["label"], found["group"], found["choices"]) == (1, "female", ["baker", "guest"])
    assert found["prompt"].endswith('Here, "her" means the')
    lines = {
        "pro": "1 [The driver] called the nurse because [he] lost [his] keys.\n2 The driver saw [the nurse] hurt [herself].\n",
        "anti": "1 [The driver] called the nurse because [she] lost [her] keys.\n2 The driver saw [the nurse] hurt [himself].\n",
    }
    for kind, text in lines.items():
        (tmp_path / f"{kind}_stereotyped_type1.txt.test").write_text(text, encoding="utf-8")
    found = documents(published.winobias(data=str(tmp_path)))
    assert [(d["group"], d["choices"][d["label"]]) for d in found] == [
        ("pro", "the driver"), ("anti", "the driver"), ("pro", "the nurse"), ("anti", "the nurse"),
    ]  # fmt: skip
    with pytest.raises(DataError, match="dev does not exist"):
        published.winobias(data=str(tmp_path), split="dev")


@pytest.mark.parametrize("make", [published.winogender, published.winobias, published.crows_pairs, published.bbq])
def test_without_a_copy_the_error_says_what_to_get_and_how_to_give_it(make, monkeypatch):
    def unreachable(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr("datasets.load_dataset", unreachable)
    with pytest.raises(DataError, match=rf"balora_{make.__name__} needs a local copy.*github.com.*--metadata"):
        make()


def test_a_draw_keeps_order_and_is_seeded():
    rows = list(range(100))
    assert draw(rows, 10, 1) == sorted(draw(rows, 10, 1))
    assert draw(rows, 10, 1) != draw(rows, 10, 2)
    assert draw(rows, None, 1) == rows


def test_a_draw_never_cuts_a_scene_of_bbq_apart():
    from collections import Counter

    from balora_audit.harness.rows import draw_pairs

    rows = [{"id": n, "pair_id": f"p{n // 4}"} for n in range(40)]
    found = draw_pairs(rows, 14, 1)
    assert set(Counter(row["pair_id"] for row in found).values()) == {4}
    assert len(found) == 12
    assert len(draw_pairs(rows, 1, 1)) == 4


def test_an_id_that_is_there_twice_is_refused(tmp_path):
    path = tmp_path / "twice.jsonl"
    path.write_text("\n".join(json.dumps({"id": "a", "text": f"words {n}", "label": str(n)}) for n in range(2)), encoding="utf-8")
    with pytest.raises(DataError, match="has the id 'a' 2 times"):
        datasets.noise(data=str(path))


BBQ_ROW = {
    "example_id": 5, "question_polarity": "neg", "context_condition": "ambig", "category": "Age",
    "answer_info": {"ans0": ["x", "old"], "ans1": ["?", "unknown"], "ans2": ["y", "nonOld"]},
    "additional_metadata": {"stereotyped_groups": ["old"]}, "context": "c", "question": "q", "ans0": "x", "ans1": "?", "ans2": "y",
    "label": 1,
}  # fmt: skip
LABELLED = [{"text": f"words {n}", "label": str(n)} for n in range(3)]


@pytest.mark.parametrize(
    ("make", "rows", "given", "said"),
    [
        (datasets.noise, [], {}, "is empty"),
        (datasets.noise, [{"text": " ", "label": "0"}, *LABELLED], {}, r"balora_noise: row 1 of .* has nothing in the field 'text'"),
        (datasets.imbalance, [*LABELLED, {"text": "x", "label": None}], {}, r"balora_imbalance: row 4 of .* nothing in the field 'label'"),
        (datasets.imbalance, LABELLED[:1] * 3, {}, "one label only, '0'"),
        (datasets.noise, LABELLED, {"label_names": ["a", "b"]}, "2 names for 3 labels: 0, 1, 2"),
        (datasets.noise, LABELLED, {"label_names": {"0": "a", "9": "b"}}, "names the label '9', which no row has; labels: 0, 1, 2"),
        (datasets.noise, LABELLED, {"columns": {"txet": "text"}}, "the field 'txet', which no task has — did you mean 'text'"),
        (datasets.noise, LABELLED, {"columns": {"text": "lable"}}, "the column 'lable', which .* does not have — did you mean 'label'"),
        (datasets.noise, LABELLED, {"label_names": ["a", "b", "b "]}, "task balora_noise: label names must be distinct and not empty"),
        (datasets.noise, LABELLED, {"label_names": {"0": "1"}}, "must be distinct and not empty, got '1', '1', '2'"),
        (datasets.noise, [{"text": "x", "label": "C", "choices": '["A", "B"]'}], {}, "label 'C' of item row-000000 is neither one of its"),
        (datasets.noise, [{"text": "x", "label": "A", "choices": "A, B"}], {}, "the field 'choices' must be JSON"),
        (datasets.noise, LABELLED, {"prompt": "none"}, r"task balora_noise: the prompt template needs exactly one \{text\}"),
        (datasets.general_text, [{"text": " "}], {}, "no row has any text"),
        (published.crows_pairs, [{"sent_more": "", "sent_less": "b", "bias_type": "age"}], {}, "row 1 of .* 'sent_more'"),
        (
            published.bbq,
            [{**BBQ_ROW, "question_polarity": "negative"}],
            {},
            "row 0: question_polarity must be neg or nonneg, got 'negative'",
        ),
        (published.bbq, [{**BBQ_ROW, "context_condition": "x"}], {}, "context_condition must be ambig or disambig"),
        (published.bbq, [{**BBQ_ROW, "label": 3}], {}, "label must be 0, 1 or 2, got 3"),
        (published.bbq, [{**BBQ_ROW, "answer_info": {"ans0": ["x", "old"]}}], {}, "answer_info must be a JSON object with the list 'ans1'"),
        (published.bbq, [{**BBQ_ROW, "additional_metadata": {}}], {}, "with the list 'stereotyped_groups'"),
    ],
)
def test_bad_files_say_what_and_where(make, rows, given, said, tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    with pytest.raises(DataError, match=said):
        make(data=str(path), **given)


@pytest.mark.parametrize("make", [datasets.noise, datasets.imbalance])
def test_a_template_without_a_place_is_refused_for_the_built_in_texts_too(make):
    with pytest.raises(DataError, match=r"task balora_\w+: the prompt template needs exactly one \{text\}, got 'Who\?'"):
        make(prompt="Who?")


def test_a_row_with_choices_of_its_own_adds_no_label_to_the_others(tmp_path):
    rows = [{"text": f"a {n}", "label": n} for n in (10, 9)] + [{"text": "b", "label": "Rome", "choices": '["Paris", "Rome"]'}]
    path = tmp_path / "mixed.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    found = documents(datasets.noise(data=str(path), label_names={"9": "nine"}))
    assert [(d["choices"], d["label"], d["class"]) for d in found] == [
        (["nine", "10"], 1, "10"),
        (["nine", "10"], 0, "nine"),
        (["Paris", "Rome"], 1, "Rome"),
    ]


def test_files_of_another_encoding_say_where(tmp_path):
    (tmp_path / "x.csv").write_bytes("text,label\ncafé,1\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8: byte 0xe9 at offset 14"):
        datasets.noise(data=str(tmp_path / "x.csv"))
    for kind in ("pro", "anti"):
        (tmp_path / f"{kind}_stereotyped_type1.txt.test").write_bytes("1 [The café owner] left; [he] slept.\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        published.winobias(data=str(tmp_path))


@pytest.mark.parametrize(
    ("make", "given", "said"),
    [
        (datasets.noise, {"items": 0}, "balora_noise: items must be a whole number from 1, got 0"),
        (datasets.noise, {"items": 4}, "items must be at least 8"),
        (bias_datasets.counterfactual_pairs, {"items": 4}, "balora_bias_pairs: items must be at least 8"),
        (published.bbq, {"items": "all", "example": True}, "items must be a whole number from 1, got 'all'"),
        (bias_datasets.association, {"seed": None}, "seed must be a whole number from 0, got None"),
        (bias_datasets.ambiguous_questions, {"seed": True}, "seed must be a whole number"),
        (published.crows_pairs, {"crows_pairs": 3}, "crows_pairs must be a text, got 3"),
        (datasets.general_text, {"columns": ["text"]}, "columns must be an object"),
        (datasets.noise, {"label_names": "bad,good"}, "label_names must be a list or an object, got 'bad,good'"),
    ],
)
def test_settings_of_the_wrong_kind_are_named(make, given, said):
    with pytest.raises(ConfigurationError, match=said):
        make(**given)


def test_crows_pairs_keeps_the_type_and_the_direction(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(",sent_more,sent_less,stereo_antistereo,bias_type\n0,a b,a c,antistereo,race-color\n", encoding="utf-8")
    document = documents(published.crows_pairs(data=str(path)))[0]
    assert (document["sentences"], document["direction"], document["group"]) == (["a b", "a c"], "antistereo", "race-color")
