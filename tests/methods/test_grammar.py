"""Any initialisation with any penalties, by name: what names mean, what is one model, and what is refused."""

import json
from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora_audit.cells import CellId
from balora_audit.config import AdapterConfig, TrainingConfig, resolve
from balora_audit.errors import ConfigurationError
from balora_audit.interface.listing import catalogue
from balora_audit.methods import METHODS, TunedMethod, find_methods
from balora_audit.methods.grammar import ABBREVIATIONS, parse, spelled
from balora_audit.models.load import HeadSpec
from balora_audit.penalties import PENALTIES, REGULARIZERS
from balora_audit.training.workshop import Recipe

PLAIN = ["lora", "pissa", "rslora", "dora", "olora", "full"]
TRAINED = [*PLAIN, "balora"]
RECIPE = Recipe(
    adapter=AdapterConfig(rank=4),
    training=TrainingConfig(),
    penalties=REGULARIZERS["iclr2026"]["nlg"],
    regularizers="iclr2026",
    head=HeadSpec(),
)

some_terms = st.lists(st.sampled_from(list(ABBREVIATIONS)), unique=True, min_size=1)
any_terms = st.lists(st.sampled_from(list(ABBREVIATIONS)), unique=True)


def method(name):
    return find_methods([name])[name]


def key(name):
    return json.dumps(method(name).key(RECIPE, {"rows": "a hash"}, 0, 40), sort_keys=True)


def named(terms):
    return {ABBREVIATIONS[term] for term in terms}


def with_terms(start, terms):
    return f"{start}[{''.join(f'+{term}' for term in terms)}]" if terms else start


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("balora", "pissa[+cr+dr+svdr]"),
        ("balora[-dr]", "pissa[+cr+svdr]"),
        ("balora[svdr]", "pissa[+svdr]"),
        ("balora[cr+dr]", "balora[-svdr]"),
        ("balora[-cr-dr-svdr]", "pissa"),
        ("lora[+dr+cr]", "lora[+cr+dr]"),
    ],
)
def test_two_spellings_have_one_key_and_do_not_stand_in_one_audit(one, other):
    assert key(one) == key(other)
    with pytest.raises(ConfigurationError, match="one model under two names; list one of them") as refusal:
        find_methods(["base", one, "olora", other])
    assert repr(one) in str(refusal.value)
    assert repr(other) in str(refusal.value)


def test_models_that_differ_have_keys_that_differ():
    names = [with_terms(start, terms) for start in PLAIN for terms in ([], ["cr"], ["dr"], ["cr", "svdr"])]
    assert len({key(name) for name in names}) == len(names)
    assert list(find_methods(names)) == names


@given(start=st.sampled_from(PLAIN), terms=any_terms)
def test_any_terms_in_any_order_on_any_start_are_that_start_with_those_terms(start, terms):
    found = method(with_terms(start, terms))
    assert (found.name, found.start, found.terms) == (with_terms(start, terms), start, named(terms))
    chosen = found.chosen_penalties(RECIPE)
    assert (chosen is None) is (not terms)
    assert {name for name, weight in (chosen.weights if chosen else {}).items() if weight > 0} == named(terms)


@given(start=st.sampled_from(PLAIN), terms=any_terms)
def test_a_model_is_found_again_by_its_plainest_name(start, terms):
    found = method(with_terms(start, terms))
    assert key(spelled(found.start, found.terms)) == key(found.name)


@given(terms=some_terms)
def test_leaving_out_and_keeping_are_two_halves(terms):
    rest = [term for term in ABBREVIATIONS if term not in terms]
    without, only = method(f"balora[{''.join(f'-{term}' for term in terms)}]"), method(f"balora[{'+'.join(terms)}]")
    assert (without.start, only.start) == ("pissa", "pissa")
    assert (without.terms, only.terms) == (named(rest), named(terms))


@given(start=st.sampled_from(TRAINED), terms=some_terms, sign=st.sampled_from("+- "))
def test_a_parsed_name_prints_as_it_was(start, terms, sign):
    change = "+".join(terms) if sign == " " else "".join(f"{sign}{term}" for term in terms)
    name = f"{start}[{change}]"
    assert str(parse(name)) == name
    cell = CellId(name, "imbalance:20+noise:0.3", 1)
    assert CellId.of_folder(PurePosixPath("adapters") / cell.folder) == cell
    assert not set(str(cell.folder) + cell.file_stem) & set('<>:"|?*\\')


def test_plain_methods_have_no_terms_and_are_their_own_start():
    found = {name: (made.start, made.terms) for name, made in METHODS.items() if isinstance(made, TunedMethod)}
    assert found == {**{name: (name, frozenset()) for name in PLAIN}, "balora": ("pissa", frozenset(PENALTIES))}


@pytest.mark.parametrize(
    ("name", "title", "summary"),
    [
        ("lora[+cr]", "LoRA + consistency", "LoRA plus the consistency term"),
        ("lora[+dr+cr]", "LoRA + consistency and diversity", "LoRA plus the consistency and diversity terms"),
        (
            "pissa[+cr+dr+svdr]", "PiSSA + consistency, diversity and spectral",
            "PiSSA plus the consistency, diversity and spectral terms",
        ),
        ("full[+svdr]", "Full fine-tuning + spectral", "Full fine-tuning plus the spectral term"),
        ("balora[-cr]", "BA-LoRA without consistency", "BA-LoRA without the consistency term"),
        ("balora[-dr-cr]", "BA-LoRA without consistency and diversity", "BA-LoRA without the consistency and diversity terms"),
        ("balora[svdr]", "BA-LoRA with only spectral", "BA-LoRA with only the spectral term"),
    ],
)  # fmt: skip
def test_what_a_method_with_terms_is_called(name, title, summary):
    assert (method(name).title, method(name).summary) == (title, summary)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("balora[+cr]", "'balora' has cr already; it has cr, dr and svdr"),
        ("lora[-cr]", "'lora' has no cr to leave out; it has no penalties. Terms are added with '+', as in lora[+cr]"),
        ("lora[cr+dr]", "'lora' has no cr and dr to keep; it has no penalties"),
        ("pissa[+cr-dr]", "adds terms and leaves some out at once; name what the method has in the end: pissa[+cr]"),
        ("balora[-dr+cr]", "name what the method has in the end: pissa[+cr+svdr]"),
        ("balora[cr-dr]", "name what the method has in the end: pissa[+cr]"),
        ("lora[+cr+dr+cr]", "names cr twice; once is enough"),
        ("balora[cr+cr]", "names cr twice"),
        ("lora[+svd]", "the terms are cr, dr, svdr, as in lora[+cr+dr], balora[-cr] or balora[cr+dr]; 'svd' is none of them"),
        ("lora[+svd]", "did you mean 'svdr'?"),
        ("lora[+consistency]", "did you mean 'cr'?"),
        ("lora[]", "the terms are cr, dr, svdr"),
        ("lora[++cr]", "the terms are cr, dr, svdr"),
        ("lora[+cr", "one pair of brackets behind a method's name"),
        ("lora[+cr][+dr]", "one pair of brackets behind a method's name"),
        ("[+cr]", "one pair of brackets behind a method's name"),
        ("lroa[+cr]", "unknown method 'lroa' — did you mean 'lora'? Valid: lora, pissa"),
        ("lroa", "unknown method 'lroa' — did you mean 'lora'?"),
        ("base[+cr]", "'base' is not trained here step by step, so it cannot take penalties; these can: lora, pissa"),
        ("mine[+cr]=nowhere", "'mine' was trained elsewhere, so it cannot take penalties; leave the brackets out"),
    ],
)
def test_what_cannot_be_is_refused_by_name_with_a_way_out(name, says):
    with pytest.raises(ConfigurationError) as refusal:
        find_methods(["base", name])
    assert says in str(refusal.value)
    assert name.partition("=")[0] in str(refusal.value)


def test_an_adapter_from_elsewhere_that_is_listed_takes_no_penalties(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"'mine\[\+cr\]': 'mine' was trained elsewhere, so it cannot take penalties"):
        find_methods([f"mine={tmp_path}", "mine[+cr]"])


def test_a_method_made_from_another_is_its_own_start():
    assert replace(METHODS["lora"], name="normal_lora").start == "normal_lora"


def test_a_method_with_a_penalty_of_its_own_takes_others_and_gives_its_own_up():
    own = replace(METHODS["lora"], name="steady", title="Steady", terms=frozenset({"consistency"}))
    assert parse("steady[+dr]").of(own).terms == {"consistency", "diversity"}
    assert parse("steady[-cr]").of(own).terms == set()
    with pytest.raises(ConfigurationError, match="start from a method that has no penalties"):
        parse("steady[+dr-cr]").of(own)


def test_a_method_cannot_use_a_penalty_that_does_not_exist():
    with pytest.raises(ValueError, match="terms of 'lora': unknown penalty 'consistancy' — did you mean 'consistency'"):
        replace(METHODS["lora"], terms=frozenset({"consistancy"}))


def test_names_with_terms_are_read_from_a_flag_and_have_a_learning_rate_of_their_own():
    variables = {"BALORA_MODELS": "base,lora[+cr+dr]", "BALORA_TRAINING__LEARNING_RATES": "lora[+cr+dr]=1e-5"}
    config = resolve({}, environment=variables)
    assert config.models == ("base", "lora[+cr+dr]")
    assert method("lora[+cr+dr]").settings(replace(RECIPE, training=config.training))["settings"]["training"]["learning_rate"] == 1e-5


def test_listing_the_methods_tells_how_terms_are_written():
    listed = catalogue("methods")
    assert set(listed) - set(METHODS) == {"lora[+cr]", "balora[-cr]"}
    assert "cr (consistency), dr (diversity), svdr (spectral)" in listed["lora[+cr]"]
