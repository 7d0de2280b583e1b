"""The command line as a user meets it: exit codes, one clear error, no traceback, nothing heavy for --help."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from balora_audit.interface.cli import app

RUN = CliRunner()


def invoke(*arguments, **environment):
    return RUN.invoke(app, list(arguments), env=environment)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv=['balora-audit','compare','--help'];\n"
        "from balora_audit.interface.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy=[m for m in ('torch','transformers','pandas','matplotlib','sklearn','scipy') if m in sys.modules]\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--models" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--models", "base,balroa"], "unknown method 'balroa' — did you mean 'balora'?"),
        (["--probes", "nose"], "did you mean 'noise'"),
        (["--preset", "quik"], "did you mean 'quick'"),
        (["--conditions", "noise:2"], "out of range"),
        (["--seeds", "0,x"], "seeds takes whole numbers"),
        (["--seeds", "0,0"], "listed twice"),
        (["--model", "no-such-model"], "unknown model 'no-such-model'"),
        (["--model", "./nowhere"], "does not exist"),
        (["--data", "nowhere.csv"], "does not exist"),
        (["--device", "cuda:99"], "not available"),
        (["--dtype", "float33"], "did you mean 'float32'"),
        (["--margin", "acuracy=0.1"], "did you mean 'accuracy'"),
        (["--margin", "accuracy"], "name=value"),
        (["--baseline", "pissa"], "not among the models"),
        (["--ci", "2"], "--ci"),
        (["--config", "nowhere.yaml"], "does not exist"),
        (["--regularizers", "v3"], "iclr2026"),
        (["--limit", "0"], "--limit"),
        (["--layers", "1,x"], "layers takes whole numbers"),
        (["--layers", "9"], "has layers 1 to 4, and 0 for the embeddings"),
        (["--layers", "-1"], "has layers 1 to 4"),
        (["--general", "nowhere.txt"], "does not exist"),
        (["--swaps", "nowhere.csv"], "cannot be read"),
        (["--swaps", "terms.docx"], "swaps are read from"),
        (["--lr", "fast"], "training.learning_rate = 'fast' (flag --training.learning-rate)"),
        (["--training.learning-rate", "0"], "greater than 0"),
        (["--noise.severities", "1,x"], "noise.severities takes whole numbers"),
        (["--penalties.norm", "frob"], "did you mean 'fro'"),
        (["--training.learning-rates", "pissa=1e-3"], "'pissa' is not among the models"),
    ],
)
def test_wrong_input_is_one_line_on_stderr_and_exit_code_2(arguments, says, tmp_path):
    done = invoke("compare", "--preset", "smoke", "--out", str(tmp_path / "run"), *arguments)
    assert done.exit_code == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "run" / "audit.json").exists()


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--modles", "unknown flag '--modles' — did you mean '--models'?"),
        ("--lernrate", "did you mean '--training.learning-rate'?"),
        ("--learning_rate=1", "did you mean '--training.learning-rate'?"),
        ("--epoch", "did you mean '--epochs'?"),
        ("--adaptor.rank", "did you mean '--adapter.rank'?"),
        ("--margins", "did you mean '--margin'?"),
        ("--jsn", "did you mean '--json'?"),
        ("--colour", "`balora-audit compare --help` lists them all"),
        ("--claims", "--claims: claims can be given in a configuration file only (--config)"),
    ],
)
def test_an_unknown_flag_is_a_usage_error(flag, says):
    done = invoke("compare", flag, "base")
    assert done.exit_code == 2
    assert says in done.stderr
    assert done.stdout == ""


def test_with_json_an_error_is_one_object(tmp_path):
    done = invoke("compare", "--json", "--models", "balroa", "--out", str(tmp_path))
    assert done.exit_code == 2
    assert json.loads(done.stdout)["exit_code"] == 2


def test_with_json_a_wrong_flag_is_one_object_too():
    command = [sys.executable, "-m", "balora_audit", "compare", "--json"]
    for wrong in (["--modles", "base"], ["superfluous"], ["--seeds"]):
        done = subprocess.run([*command, *wrong], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert wrong[0] in json.loads(done.stdout)["error"]


def test_a_misspelt_variable_is_refused(tmp_path):
    done = invoke("compare", "--out", str(tmp_path / "run"), BALORA_SEDS="1")
    assert done.exit_code == 2
    assert "BALORA_SEEDS" in done.stderr


def test_a_model_folder_without_weights_or_with_pickles_is_refused(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    assert "has no weights" in invoke("compare", "--model", str(folder), "--out", str(tmp_path / "r")).stderr
    (folder / "pytorch_model.bin").write_bytes(b"x")
    done = invoke("compare", "--model", str(folder), "--out", str(tmp_path / "r"))
    assert done.exit_code == 2
    assert "pickle" in done.stderr


@pytest.mark.parametrize("kind", ["models", "methods", "conditions", "perturbations", "probes", "tasks", "presets"])
def test_ls_prints_one_line_each(kind):
    done = invoke("ls", kind)
    assert done.exit_code == 0
    assert all("\t" in line for line in done.stdout.splitlines())


def test_ls_suggests_near_names():
    done = invoke("ls", "method")
    assert done.exit_code == 2
    assert "did you mean 'methods'" in done.stderr


def test_tasks_path_is_a_folder():
    done = invoke("tasks", "path")
    assert done.exit_code == 0
    assert os.path.isdir(done.stdout.strip())  # noqa: PTH112


def test_doctor_names_a_way_out_for_what_is_missing():
    done = invoke("doctor", "--json")
    assert done.exit_code == 0
    checks = json.loads(done.stdout)["checks"]
    assert all(check["way_out"] for check in checks if check["status"] == "missing")


def test_plan_says_what_is_unknown(tmp_path):
    arguments = ["plan", "--preset", "smoke", "--models", "base,lora", "--out", str(tmp_path / "run")]
    done = invoke(*arguments, BALORA_CACHE=str(tmp_path / "cache"))  # where nothing has been measured yet
    assert done.exit_code == 0
    assert "unknown" in done.stdout
    assert "0 there already" in done.stdout


@pytest.mark.slow
def test_the_main_job_prints_verdicts_then_the_report(tmp_path):
    small = ["--preset", "smoke", "--models", "base,lora", "--conditions", "clean", "--limit", "32", "--out", str(tmp_path / "run")]
    done = invoke("compare", *small)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.rstrip().endswith("report.html")
    assert "\x1b" not in done.stdout + done.stderr
    again = invoke("compare", *small, "--json")
    found = json.loads(again.stdout)
    assert found["status"] == "complete"
    assert found["verdicts"]
    planned = invoke("plan", *small, "--json")
    assert json.loads(planned.stdout)["cached"] == json.loads(planned.stdout)["planned"]
    assert invoke("render", str(tmp_path / "run")).exit_code == 0
