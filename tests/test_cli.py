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
    ],
)
def test_wrong_input_is_one_line_on_stderr_and_exit_code_2(arguments, says, tmp_path):
    done = invoke("compare", "--preset", "smoke", "--out", str(tmp_path / "run"), *arguments)
    assert done.exit_code == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "run" / "audit.json").exists()


def test_an_unknown_flag_is_a_usage_error():
    done = invoke("compare", "--modles", "base")
    assert done.exit_code == 2
    assert "--modles" in done.stderr


def test_with_json_an_error_is_one_object(tmp_path):
    done = invoke("compare", "--json", "--models", "balroa", "--out", str(tmp_path))
    assert done.exit_code == 2
    assert json.loads(done.stdout)["exit_code"] == 2


def test_with_json_a_wrong_flag_is_one_object_too():
    command = [sys.executable, "-m", "balora_audit", "compare", "--json", "--modles", "base"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--modles" in json.loads(done.stdout)["error"]


def test_environment_and_file_stand_below_the_flags(tmp_path):
    from balora_audit.config import resolve

    path = tmp_path / "audit.yaml"
    path.write_text("preset: smoke\nseeds: [4]\ntrain_rows: 99\ntraining: {epochs: 7}\n", encoding="utf-8")
    config = resolve({"seeds": (1,)}, environment={"BALORA_SEEDS": "2,3", "BALORA_TRAIN_ROWS": "88"}, file=path)
    assert (config.seeds, config.train_rows, config.training.epochs) == ((1,), 88, 7)
    assert config.training.batch_size == 16  # the preset's, not the default's
    assert resolve({}, environment={"BALORA_SEEDS": "2,3"}, file=path).seeds == (2, 3)


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
