import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balora_audit.config import resolve
from balora_audit.data.perturbations import PERTURBATIONS, perturb
from balora_audit.data.perturbations.perturbation import clusters, words
from balora_audit.errors import ConfigurationError
from balora_audit.run.plan import make_plan

NAMES = sorted(PERTURBATIONS)
TEXT = (
    "Mary designed 12 gears, and she met https://example.org/a?b=1 near the old quarter of Kraków before lunch. It's late, isn't it? "
    "They don't know that he can't swim, we're not sure what's new, I'm told you'll see it is not far."
)
UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
PIECES = st.lists(
    st.sampled_from(
        [
            "👩‍👩‍👧",
            "👍🏽",
            "🇩🇪",
            "🇵🇱",
            "1️⃣",
            "é",
            "e\u0301",
            "न्‍",
            "क्षि",
            "각",
            "각",
            "שלום",
            "مرحبا",
            "\u202e",
            "\ud800",
            "\udc00",
            "the ",
            "and ",
            "it's ",
            "do not ",
            "a",
            "B",
            " ",
            "\n",
            "7",
            "中文",
            "ไทย",
            "\u0300",
            "\u200d",
            "\ufe0f",
        ]
    ),
    max_size=14,
).map("".join)
ELSEWHERE = {
    "German": "Der alte Lehrer erklärte den Kindern geduldig, warum die Brücke gesperrt bleibt.",
    "Russian": "Старый учитель терпеливо объяснил детям, почему мост остаётся закрытым.",
    "Chinese": "老教师耐心地向孩子们解释为什么这座桥仍然关闭。",
    "Japanese": "年老いた教師は橋が閉鎖されたままである理由を子供たちに説明した。",
    "Arabic": "شرح المعلم العجوز للأطفال بصبر لماذا يبقى الجسر مغلقا.",
    "Hindi": "बूढ़े शिक्षक ने बच्चों को धैर्य से समझाया कि पुल क्यों बंद है।",
}
DOES_NOT_APPLY = {
    "German": {"filler", "contraction"},
    "Russian": {"filler", "contraction", "typo", "ocr", "homoglyph", "insert"},
    "Chinese": {"filler", "contraction", "typo", "ocr", "homoglyph", "insert", "case", "word_drop", "word_repeat", "punctuation"},
    "Japanese": {"filler", "contraction", "typo", "ocr", "homoglyph", "insert", "case", "word_drop", "word_repeat", "punctuation"},
    "Arabic": {"filler", "contraction", "typo", "ocr", "homoglyph", "insert", "case"},
    "Hindi": {"filler", "contraction", "typo", "ocr", "homoglyph", "insert", "case"},
}


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(NAMES), UNICODE)
def test_severity_zero_is_the_identity(name, text):
    assert perturb(PERTURBATIONS[name], text, severity=0, seed=1, item_id="a").text == text


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(NAMES), UNICODE, st.integers(0, 5), st.integers(0, 9))
def test_any_unicode_text_stays_valid_and_is_drawn_the_same_way(name, text, severity, seed):
    one = perturb(PERTURBATIONS[name], text, severity=severity, seed=seed, item_id="x")
    assert one == perturb(PERTURBATIONS[name], text, severity=severity, seed=seed, item_id="x")
    assert one.text.encode("utf-8").decode("utf-8") == one.text
    assert 0 <= one.changed <= one.units


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(NAMES), st.text("abcdefgh XYZ.,", min_size=1, max_size=120), st.integers(0, 50))
def test_the_number_of_changes_never_falls_with_severity(name, text, seed):
    copies = [perturb(PERTURBATIONS[name], text, severity=s, seed=seed, item_id="i") for s in range(6)]
    changes = [copy.changed for copy in copies]
    # a text of words that would vanish altogether is left alone, which is the one exception
    assert changes == sorted(changes) or (name in ("word_drop", "delete") and not text.split()[5:])
    assert all(change <= copies[0].applicable <= copies[0].units for change in changes)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(NAMES), PIECES, st.integers(1, 5), st.integers(0, 20))
def test_no_character_is_torn_apart_in_any_script(name, text, severity, seed):
    found = perturb(PERTURBATIONS[name], text, severity=severity, seed=seed, item_id="x")
    lone = [c for c in found.text if unicodedata.category(c) == "Cs"]
    assert len(lone) <= (2 if name == "word_repeat" else 1) * sum(unicodedata.category(c) == "Cs" for c in text)
    if text.encode("utf-8", "ignore").decode("utf-8") == text:
        assert found.text.encode("utf-8").decode("utf-8") == found.text
    whole = set(clusters(text))
    tails = {marks(cluster) for cluster in whole}
    for cluster in clusters(found.text):
        # a letter may change, its marks stay with it; where characters go missing, their neighbours may form a new whole
        joined = name in ("delete", "word_drop", "swap") and set(cluster) <= set(text)
        assert cluster in whole or not marks(cluster) or marks(cluster) in tails or joined


def marks(cluster):
    return "".join(c for c in cluster if unicodedata.combining(c) or c in "\u200d\ufe0f" or "\U0001f3fb" <= c <= "\U0001f3ff")


@pytest.mark.parametrize("language", ELSEWHERE)
@pytest.mark.parametrize("name", NAMES)
def test_a_kind_changes_a_text_of_another_language_or_says_that_it_does_not_apply(name, language):
    text = ELSEWHERE[language]
    copies = [perturb(PERTURBATIONS[name], text, severity=5, seed=0, item_id=str(item)) for item in range(20)]
    if name in DOES_NOT_APPLY[language]:
        assert all(copy.applicable == copy.changed == 0 and copy.text == text for copy in copies)
    else:
        assert copies[0].applicable > 0
        assert any(copy.text != text for copy in copies)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"contraction", "punctuation", "swap"}))
def test_the_realised_rate_is_the_nominal_one_among_units_that_can_change(name):
    text = "the quick old bears of this house told their tales and were gone to bed " * 40
    for severity in (1, 3, 5):
        found = perturb(PERTURBATIONS[name], text, severity=severity, seed=5, item_id="long")
        rate = PERTURBATIONS[name].rates[severity]
        spread = (rate * (1 - rate) * found.applicable) ** 0.5
        assert abs(found.changed - rate * found.applicable) < 4.5 * spread


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't go", "Do not go"),
        ("I do not know.", "I don't know."),
        ("IT'S HERE", "IT IS HERE"),
        ("that’s all", "that is all"),
        ("It's been long", "It's been long"),
        ("it is not so", "it's not so"),
        ("(can't wait)", "(can not wait)"),
        ("Mary's book fell", "Mary's book fell"),
    ],
)
def test_contractions_go_both_ways_with_case_and_leave_the_ambiguous_alone(text, expected):
    found = {perturb(PERTURBATIONS["contraction"], text, severity=5, seed=0, item_id=str(item)).text for item in range(60)}
    assert found == {text, expected}


def test_fillers_are_for_english():
    assert perturb(PERTURBATIONS["filler"], "the bridge is old", severity=1, seed=0, item_id="a").applicable == 4
    assert perturb(PERTURBATIONS["filler"], "die Brücke war alt", severity=1, seed=0, item_id="a").applicable == 0


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_changes_ordinary_text(name):
    copies = [perturb(PERTURBATIONS[name], TEXT, severity=5, seed=0, item_id=str(i)) for i in range(20)]
    assert sum(copy.text != TEXT for copy in copies) >= 15
    assert 0 < copies[0].applicable <= copies[0].units
    rate = sum(copy.changed for copy in copies) / sum(copy.units for copy in copies)
    assert 0 < rate <= 1.3 * PERTURBATIONS[name].rates[5]


@pytest.mark.parametrize("name", NAMES)
def test_numbers_urls_and_asked_for_words_are_never_touched(name):
    for item in range(30):
        found = perturb(PERTURBATIONS[name], TEXT, severity=5, seed=0, item_id=str(item), protect=("gears",)).text
        assert "12" in found
        assert "https://example.org/a?b=1" in found
        assert "gears" in found


@pytest.mark.parametrize("name", NAMES)
def test_every_form_of_number_and_address_and_hundreds_of_words_are_protected(name):
    spans = ["-3.5 %", "$1,200.50", "12:30", "2026-11-23", "mail.me@example.org", "www.example.org/x", "Anna", "old man"]
    text = "The price of " + " and then ".join(spans) + " were it not for that, she said it is not so."
    protect = ("anna", "old man", *(f"word{index}" for index in range(600)))
    for item in range(30):
        found = perturb(PERTURBATIONS[name], text, severity=5, seed=1, item_id=str(item), protect=protect).text
        assert all(span in found for span in spans), found


def test_combining_marks_stay_with_their_letter():
    text = "cafe\u0301 nai\u0308ve"
    assert "".join(clusters(text)) == text
    for item in range(40):
        found = perturb(PERTURBATIONS["delete"], text, severity=5, seed=0, item_id=str(item)).text
        assert not any(unicodedata.combining(c) and (i == 0 or found[i - 1] == " ") for i, c in enumerate(found))


@given(UNICODE)
def test_words_joined_are_the_text(text):
    assert "".join(words(text)) == text


def test_the_draw_is_the_same_in_another_process():
    code = "from balora_audit.data.perturbations import PERTURBATIONS, perturb;"
    code += f"print(perturb(PERTURBATIONS['typo'], {TEXT!r}, severity=4, seed=3, item_id='q').text)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "77"})
    assert other.stdout.rstrip("\n") == perturb(PERTURBATIONS["typo"], TEXT, severity=4, seed=3, item_id="q").text


def test_unknown_kinds_are_refused_before_the_run():
    with pytest.raises(ConfigurationError, match="did you mean 'typo'"):
        make_plan(resolve({"preset": "smoke", "noise": {"kinds": ("typos",)}}, environment={}))


def test_unknown_severities_are_refused():
    with pytest.raises(ValueError, match="severity"):
        perturb(PERTURBATIONS["typo"], TEXT, severity=6, seed=0, item_id="a")
