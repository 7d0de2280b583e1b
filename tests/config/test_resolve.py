"""Which setting holds, and what is said about one that cannot."""

import pytest

from balora_audit.config import PRESETS, nested, resolve
from balora_audit.errors import ConfigurationError


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "audit.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_environment_and_file_stand_below_the_flags(file):
    path = file("preset: smoke\nseeds: [4]\ntrain_rows: 99\ntraining: {epochs: 7}\n")
    config = resolve({"seeds": (1,)}, environment={"BALORA_SEEDS": "2,3", "BALORA_TRAIN_ROWS": "88"}, file=path)
    assert (config.seeds, config.train_rows, config.training.epochs) == ((1,), 88, 7)
    assert config.training.batch_size == 16  # the preset's, not the default's
    assert resolve({}, environment={"BALORA_SEEDS": "2,3"}, file=path).seeds == (2, 3)


def test_each_part_of_nested_settings_comes_from_its_highest_source(file):
    path = file("training: {epochs: 7, batch_size: 3, decay: linear}\n")
    environment = {"BALORA_PRESET": "smoke", "BALORA_TRAINING__BATCH_SIZE": "5", "BALORA_TRAINING__LEARNING_RATE": "0.1"}
    training = resolve({"training": {"learning_rate": 0.2}}, environment=environment, file=path).training
    assert (training.learning_rate, training.batch_size, training.epochs, training.decay) == (0.2, 5, 7, "linear")
    training = resolve({"preset": "smoke", "training": {"learning_rate": 0.2}}, environment={}).training
    assert (training.learning_rate, training.epochs) == (0.2, PRESETS["smoke"]["training"]["epochs"])
    assert training.warmup_share == 0.05  # the default


def test_the_highest_source_says_which_preset_the_others_stand_on(file):
    path = file("preset: full\n")
    assert resolve({}, environment={}, file=path).preset == "full"
    assert resolve({}, environment={"BALORA_PRESET": "smoke"}, file=path).train_rows == PRESETS["smoke"]["train_rows"]
    assert resolve({"preset": "standard"}, environment={"BALORA_PRESET": "smoke"}, file=path).seeds == (0, 1, 2)


def test_mappings_merge_key_by_key(file):
    path = file("margins: {accuracy: 0.1, tail_recall: 0.2}\n")
    config = resolve({"margins": {"accuracy": "0.3"}}, environment={}, file=path)
    assert config.margins == {"accuracy": 0.3, "tail_recall": 0.2}


def test_an_override_of_penalties_is_a_number_from_wherever_it_comes(file):
    environment = {"BALORA_PENALTIES__TOP_K": "none", "BALORA_PENALTIES": "k=4,norm=nuclear", "BALORA_PENALTIES__SPECTRAL": "0.5"}
    config = resolve({"penalties": {"temperature": "3"}}, environment=environment, file=file("penalties: {consistency: 0.05, k: 9}\n"))
    assert config.penalties == {"consistency": 0.05, "k": 4, "norm": "nuclear", "top_k": None, "spectral": 0.5, "temperature": 3.0}
    penalties = config.penalties_for("nlg")
    assert (penalties.top_k, penalties.diversity) == (None, 0.005)  # the preset's 20 is replaced, its λ₂ stays


def test_variables_are_read_like_flags():
    environment = {
        "BALORA_MODELS": "base,lora",
        "BALORA_TRUST_REMOTE_CODE": "true",
        "BALORA_TASK_METADATA": '{"items": 64}',
        "BALORA_PROMPT": r"{text}\nAnswer:",
        "BALORA_NOISE__KINDS": "typo",
        "BALORA_CACHE": "/anywhere",
        "PATH": "/bin",
    }
    config = resolve({}, environment=environment)
    assert (config.models, config.trust_remote_code, config.task_metadata) == (("base", "lora"), True, {"items": 64})
    assert (config.prompt, config.noise.kinds) == ("{text}\nAnswer:", ("typo",))


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("BALORA_SEDS", "1", "did you mean 'BALORA_SEEDS'"),
        ("BALORA_LEARNING_RATE", "1", "did you mean 'BALORA_TRAINING__LEARNING_RATE'"),
        ("BALORA_CACHED", "1", "did you mean 'BALORA_CACHE'"),
        ("BALORA_CLAIMS", "x", "BALORA_CLAIMS: claims can be given in a configuration file only"),
        ("BALORA_SEEDS", "0,x", r"seeds takes whole numbers separated by commas, got '0,x' \(variable BALORA_SEEDS\)"),
        ("BALORA_TRAINING__EPOCHS", "x", r"training.epochs = 'x' \(variable BALORA_TRAINING__EPOCHS\)"),
        ("BALORA_PENALTIES", "k", r"penalties takes name=value pairs .* \(variable BALORA_PENALTIES\)"),
        ("BALORA_PENALTIES", "norn=fro", "variable BALORA_PENALTIES: unknown setting 'norn' — did you mean 'norm'"),
        ("BALORA_HEAD", "classifer", "variable BALORA_HEAD: unknown head 'classifer' — did you mean 'classifier'"),
        ("BALORA_PRESET", "quik", "did you mean 'quick'"),
    ],
)
def test_a_wrong_variable_is_named(variable, text, says):
    with pytest.raises(ConfigurationError, match=says):
        resolve({}, environment={variable: text})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("modles: [base]", "unknown setting 'modles' .*audit.yaml.* did you mean 'models'"),
        ("learning_rate: 1", "did you mean 'training.learning_rate'"),
        ("training: {lernrate: 1}", "unknown setting 'training.lernrate' .* did you mean 'training.learning_rate'"),
        ("penalties: {consistenc: 1}", "did you mean 'penalties.consistency'"),
        ("penalties: {consistency: x}", r"penalties.consistency = 'x' \(configuration file .*audit.yaml\): Input should be a valid number"),
        ("training: 3", "training = 3 .*audit.yaml"),
        ("training: {decay: cosin}", "unknown training.decay 'cosin' — did you mean 'cosine'"),
        ("noise: {severities: [1, x]}", "noise.severities.1 = 'x'"),
        ("margins: {accuracy: x}", "margins.accuracy = 'x'"),
        ("layers: [x]", "^layers = 'x' "),
        ("claims: [{metric: accuracy, candidat: lora}]", "unknown setting 'claims.0.candidat' .* did you mean 'claims.0.candidate'"),
        ("claims: [{metric: accuracy}]", "claims.0.candidate is missing .*audit.yaml"),
        ("1: 2", "unknown setting '1'"),
        ("preset: [smoke]", "unknown preset"),
        ("- a", "must be a mapping of settings, got list"),
        ("a: [", "is not YAML"),
        ("baseline: pissa", "'pissa' is not among the models"),
    ],
)
def test_a_wrong_file_is_named_with_the_place_in_it(file, text, says):
    with pytest.raises(ConfigurationError, match=says):
        resolve({}, environment={}, file=file(text))


def test_an_empty_file_changes_nothing(file):
    assert resolve({}, environment={}, file=file("")) == resolve({}, environment={})


def test_an_error_names_the_source_that_holds(file):
    path = file("training: {epochs: 0}\n")
    with pytest.raises(ConfigurationError, match="configuration file"):
        resolve({"training": {"batch_size": 2}}, environment={}, file=path)
    with pytest.raises(ConfigurationError, match=r"flag --training\.epochs"):
        resolve({"training": {"epochs": "-1"}}, environment={}, file=path)


def test_the_later_of_two_values_at_one_place_holds():
    assert nested([(("a", "b"), 1), (("a", "c"), 2), (("a", "b"), 3)]) == {"a": {"b": 3, "c": 2}}
