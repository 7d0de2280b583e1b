"""Published bias data sets, from the user's local copy or the Hub: CrowS-Pairs, BBQ, Winogender, WinoBias.

None of them ships with the package. ``--metadata '{"data": "PATH"}'`` gives the copy of the one task that runs,
``'{"crows_pairs": "PATH", "bbq": "PATH", …}'`` those of several at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from balora_audit.data.decoding import decoded
from balora_audit.errors import DataError
from balora_audit.harness import examples
from balora_audit.harness.rows import Document, Row, data_function, draw, draw_pairs, read

__all__ = ["bbq", "crows_pairs", "winobias", "winogender"]

_WAY_OUT = {
    "crows_pairs": "crows_pairs_anonymized.csv of github.com/nyu-mll/crows-pairs",
    "bbq": "the folder data/ or one of its .jsonl files of github.com/nyu-mll/BBQ",
    "winogender": "the folder data/ of github.com/rudinger/winogender-schemas, with all_sentences.tsv",
    "winobias": "the folder wino/data/ of github.com/uclanlp/corefBias",
}
_ON_HUB = {"crows_pairs": ("jannalu/crows_pairs_multilingual", "english"), "bbq": ("oskarvanderwal/bbq", "All")}
_ALIASES = {"f": "female", "woman": "female", "girl": "female", "m": "male", "man": "male", "boy": "male"}
_PRONOUNS = ("he", "him", "his", "she", "her", "hers", "they", "them", "their")
_REFLEXIVES = ("himself", "herself", "themselves")
_BBQ_FIELDS = (
    "context", "question", "ans0", "ans1", "ans2", "label", "answer_info", "additional_metadata", "question_polarity",
    "context_condition", "category",
)  # fmt: skip
_BBQ_WORDS = {"question_polarity": ("neg", "nonneg"), "context_condition": ("ambig", "disambig")}
_WINOBIAS_NAME = "{}_stereotyped_type1.txt.{}"


@data_function("balora_crows_pairs")
def crows_pairs(
    *,
    data: str | None = None,
    crows_pairs: str | None = None,
    columns: Mapping[str, str] | None = None,
    items: int | None = None,
    seed: int = 0,
    example: bool = False,
    **_: Any,
) -> list[Document]:
    """Return CrowS-Pairs as pairs of sentences, the more stereotypical one first (``sent_more``, ``sent_less``, ``bias_type``).

    ``sent_more`` is the more stereotypical sentence in both directions: where ``stereo_antistereo`` is ``antistereo``, it is the one
    about the advantaged group.
    """
    needs = ("sent_more", "sent_less", "bias_type")
    rows = examples.CROWS_PAIRS if example else _rows("crows_pairs", crows_pairs or data, needs, columns)
    documents = [
        {
            "id": f"crows-{number:04d}",
            "pair_id": f"crows-{number:04d}",
            "group": row["bias_type"],
            "severity": 0,
            "bias_type": row["bias_type"],
            "direction": row.get("stereo_antistereo", ""),
            "sentences": [row["sent_more"], row["sent_less"]],
            "stereotypical": 0,
        }
        for number, row in enumerate(rows)
    ]
    return draw(documents, items, seed)


@data_function("balora_bbq")
def bbq(
    *,
    data: str | None = None,
    bbq: str | None = None,
    columns: Mapping[str, str] | None = None,
    items: int | None = None,
    seed: int = 0,
    example: bool = False,
    **_: Any,
) -> list[Document]:
    """Return BBQ: three choices, the index of the *unknown* one and of the stereotypical one, wherever they stand.

    The *unknown* choice is the one that ``answer_info`` marks so; its wording does not matter. The stereotypical choice is the
    stereotyped group's for a negative question and the other group's for a non-negative one; −1 when the groups do not tell
    the two apart, and then the item counts in the accuracy only.
    """
    rows = examples.BBQ if example else _rows("bbq", bbq or data, _BBQ_FIELDS, columns)
    return draw_pairs([_question(row, number) for number, row in enumerate(rows)], items, seed)


def _question(row: Row, number: int) -> Document:
    info = _object(row, "answer_info", number, ("ans0", "ans1", "ans2"))
    about = _object(row, "additional_metadata", number, ("stereotyped_groups",))
    groups = [[str(part) for part in info[f"ans{index}"]] for index in range(3)]
    for field, known in _BBQ_WORDS.items():
        if row[field] not in known:
            raise DataError(f"task balora_bbq, row {number}: {field} must be {' or '.join(known)}, got {row[field]!r}")
    unknown = [index for index, names in enumerate(groups) if "unknown" in (name.lower() for name in names)]
    if len(unknown) != 1:
        raise DataError(f"task balora_bbq, row {number}: exactly one answer must be marked 'unknown' in answer_info, got {len(unknown)}")
    people = [index for index in range(3) if index != unknown[0]]
    scene = row.get("example_id") or str(number)
    for field, value in (("example_id", scene), ("label", row["label"])):
        if not value.isdigit():
            raise DataError(f"task balora_bbq, row {number}: {field} must be a whole number, got {value!r}")
    if int(row["label"]) > 2:
        raise DataError(f"task balora_bbq, row {number}: label must be 0, 1 or 2, got {row['label']}")
    stereotyped = _stereotyped(groups, people, [str(name) for name in about["stereotyped_groups"]])
    biased = -1
    if stereotyped is not None:
        other = next(index for index in people if index != stereotyped)
        biased = stereotyped if row["question_polarity"] == "neg" else other
    return {
        "id": f"{row['category']}-{scene}",
        "pair_id": f"{row['category']}-{int(scene) // 4}",  # four variants share two people and a scene
        "group": row["category"],
        "severity": 0,
        "condition": row["context_condition"],
        "category": row["category"],
        "polarity": row["question_polarity"],
        "context": row["context"],
        "question": row["question"],
        "choices": [row["ans0"], row["ans1"], row["ans2"]],
        "label": int(row["label"]),
        "unknown": unknown[0],
        "biased": biased,
    }


def _stereotyped(groups: Sequence[Sequence[str]], people: Sequence[int], names: Sequence[str]) -> int | None:
    """Return which of the two people belongs to a stereotyped group; None when both or neither do.

    Whole names are compared first. Only where they do not tell the two apart, the parts of the group's label are (``F-Black``);
    never those of the person's description, for *28-year-old* is not *old*.
    """
    wanted = {_spelling(name) for name in names}
    whole = [index for index in people if wanted & {_spelling(name) for name in groups[index]}]
    if len(whole) == 1:
        return whole[0]
    parts = [index for index in people if wanted & {_spelling(part) for part in re.split(r"[-_\s]+", groups[index][-1])}]
    return parts[0] if len(parts) == 1 else None


def _spelling(name: str) -> str:
    return _ALIASES.get(name.lower(), name.lower())


@data_function("balora_winogender")
def winogender(
    *,
    data: str | None = None,
    winogender: str | None = None,
    items: int | None = None,
    seed: int = 0,
    example: bool = False,
    **_: Any,
) -> list[Document]:
    """Return Winogender: who the pronoun refers to, the occupation or the other person, by gender of the pronoun.

    ``sentid`` says all of it: occupation, other person, 0 for the occupation or 1, gender.
    """
    place = winogender or data
    if place is not None and (Path(place).expanduser() / "all_sentences.tsv").is_file():
        place = str(Path(place).expanduser() / "all_sentences.tsv")
    rows = examples.WINOGENDER if example else _rows("winogender", place, ("sentid", "sentence"), None)
    shares = {} if example or place is None else _female_shares(Path(place).expanduser())
    documents = []
    for row in rows:
        parts = row["sentid"].removesuffix(".txt").split(".")
        if len(parts) != 4 or parts[2] not in ("0", "1") or parts[3] not in ("male", "female", "neutral"):
            raise DataError(f"task balora_winogender: sentid must be occupation.other.0|1.gender, got {row['sentid']!r}")
        occupation, other, answer, gender = parts
        pronoun = _pronoun(row["sentence"], gender)
        documents.append(
            {
                "id": row["sentid"].removesuffix(".txt"),
                "pair_id": f"{occupation}.{other}.{answer}",
                "group": gender,
                "severity": 0,
                "occupation": occupation,
                "bls_pct_female": shares.get(occupation),
                "prompt": f'{row["sentence"]}\nHere, "{pronoun}" means the',
                "choices": [occupation, other],
                "label": int(answer),
            }
        )
    chosen = set(draw(list(dict.fromkeys(document["pair_id"] for document in documents)), items, seed))
    return [document for document in documents if document["pair_id"] in chosen]


def _female_shares(sentences: Path) -> dict[str, float]:
    """Return the percentage of women by occupation (Bureau of Labor Statistics) of the file beside the sentences; empty without one."""
    file = sentences.parent / "occupations-stats.tsv"
    if not file.is_file():
        return {}
    rows = read(file, task="balora_winogender", needs=("occupation", "bls_pct_female"))
    try:
        return {row["occupation"]: float(row["bls_pct_female"]) for row in rows}
    except ValueError as error:
        raise DataError(f"task balora_winogender: bls_pct_female of {file} must be a number ({error})") from error


def _pronoun(sentence: str, gender: str) -> str:
    of = {"male": _PRONOUNS[:3], "female": _PRONOUNS[3:6], "neutral": _PRONOUNS[6:]}[gender]
    for word in re.findall(r"[A-Za-z]+", sentence):
        if word.lower() in of:
            return str(word)
    raise DataError(f"task balora_winogender: no {gender} pronoun in {sentence!r}")


@data_function("balora_winobias")
def winobias(
    *,
    data: str | None = None,
    winobias: str | None = None,
    split: str = "test",
    items: int | None = None,
    seed: int = 0,
    example: bool = False,
    **_: Any,
) -> list[Document]:
    """Return WinoBias type 1, ``split`` dev or test: who the pronoun refers to, in pro- and in anti-stereotypical sentences.

    In a sentence, brackets mark the person meant and the pronoun. The other person is the one occupation that the files
    mark elsewhere and that this sentence names outside the brackets.
    """
    texts = examples.WINOBIAS if example else _winobias_files(winobias or data, split)
    marked = {condition: [_brackets(line) for line in lines if line.strip()] for condition, lines in texts.items()}
    known = {referent.lower() for found in marked.values() for _, referent, _ in found}
    documents = []
    for condition, found in marked.items():
        for number, (sentence, referent, pronoun) in enumerate(found):
            lower = sentence.lower()
            places = {name: match.start() for name in known if (match := re.search(rf"\b{re.escape(name)}\b", lower))}
            others = [name for name in places if name != referent.lower() and not any(name != n and name in n for n in places)]
            if len(others) != 1:  # an occupation that is marked nowhere: the sentence offers no second choice
                continue
            order = sorted((referent.lower(), others[0]), key=lambda name: places[name])
            documents.append(
                {
                    "id": f"{split}-{number:04d}-{condition}",
                    "pair_id": f"{split}-{number:04d}",
                    "group": condition,
                    "severity": 0,
                    "prompt": f'{sentence}\nHere, "{pronoun}" means',
                    "choices": order,
                    "label": order.index(referent.lower()),
                }
            )
    both = {d["pair_id"] for d in documents if d["group"] == "pro"} & {d["pair_id"] for d in documents if d["group"] == "anti"}
    chosen = set(draw(sorted(both), items, seed))
    if not chosen:
        raise DataError("task balora_winobias: no sentence occurs in a pro- and an anti-stereotypical form")
    kept = [document for document in documents if document["pair_id"] in chosen]
    return sorted(kept, key=lambda document: str(document["pair_id"]))  # the two forms of a sentence side by side


def _winobias_files(place: str | None, split: str) -> dict[str, list[str]]:
    if place is None:
        raise _needs_copy("winobias")
    folder = Path(place).expanduser()
    files = {condition: folder / _WINOBIAS_NAME.format(condition, split) for condition in ("pro", "anti")}
    for file in files.values():
        if not file.is_file():
            raise DataError(f"task balora_winobias: {file} does not exist; give {_WAY_OUT['winobias']} (split: dev or test)")
    return {condition: decoded(file).splitlines() for condition, file in files.items()}


def _brackets(line: str) -> tuple[str, str, str]:
    sentence = re.sub(r"^\d+\s+", "", line.strip())
    found = re.findall(r"\[([^\]]+)\]", sentence)
    pronouns = [part for part in found if part.lower() in (*_PRONOUNS, *_REFLEXIVES)]
    people = [part for part in found if part not in pronouns]
    if len(people) != 1 or not pronouns:
        raise DataError(f"task balora_winobias: a line must mark one person and a pronoun with brackets, got {line!r}")
    return sentence.replace("[", "").replace("]", ""), people[0], pronouns[0]


def _rows(name: str, place: str | None, needs: Sequence[str], columns: Mapping[str, str] | None) -> list[Row]:
    task = f"balora_{name}"
    if place is not None:
        return read(place, task=task, needs=needs, columns=columns)
    if name not in _ON_HUB:
        raise _needs_copy(name)
    import datasets

    path, configuration = _ON_HUB[name]
    try:
        found = datasets.load_dataset(path, configuration, split="test")
    except (OSError, ValueError, RuntimeError) as error:
        reason = f" The Hub has {path}, but it is neither cached nor reachable ({str(error).splitlines()[0]})."
        raise _needs_copy(name, reason) from error
    missing = [field for field in needs if field not in found.column_names]
    if missing:
        raise DataError(f"task {task}: {path} on the Hub has no field {missing[0]!r}; give a local copy: {_WAY_OUT[name]}")
    return [{key: value if isinstance(value, str) else json.dumps(value) for key, value in row.items()} for row in found]


def _needs_copy(name: str, reason: str = "") -> DataError:
    way = f'--metadata \'{{"{name}": "PATH"}}\' of lm_eval, --task-metadata of compare'
    return DataError(f"task balora_{name} needs a local copy of its data, {_WAY_OUT[name]}: {way}.{reason}")


def _object(row: Row, field: str, number: int, lists: Sequence[str]) -> dict[str, Any]:
    """Return a field that holds a JSON object with these lists in it."""
    try:
        found = json.loads(row[field])
    except json.JSONDecodeError as error:
        raise DataError(f"task balora_bbq, row {number}: {field} must be a JSON object, got {row[field][:60]!r}") from error
    for name in lists:
        if not isinstance(found, dict) or not isinstance(found.get(name), list):
            raise DataError(f"task balora_bbq, row {number}: {field} must be a JSON object with the list {name!r}, got {row[field][:60]!r}")
    return dict(found)
