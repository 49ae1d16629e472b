"""The workflow and the hooks in docs/ci.md: they parse, and every command in them exists."""

import os
import re
import shlex
import stat
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from toadstone.cli.app import app

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/ci.md").read_text()
WORKFLOW, HOOKS_USED = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
STEPS = WORKFLOW["jobs"]["audit"]["steps"]
SCRIPT = next(step["run"] for step in STEPS if "audit files" in step.get("run", ""))


def helped(words):
    """What `--help` of a command says, wide enough that no option is cut."""
    answer = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_the_workflow():
    assert WORKFLOW["permissions"] == {"contents": "read", "security-events": "write"}
    upload = next(step for step in STEPS if "upload-sarif" in step.get("uses", ""))
    assert upload["with"]["sarif_file"] == "sarif"
    assert upload["if"].startswith("always()")
    commands = [line.split(";")[0].strip() for line in SCRIPT.splitlines() if line.strip().startswith("toadstone ")]
    assert len(commands) == 2
    for command in commands:
        _, *words = shlex.split(command)
        options = [word for word in words if word.startswith("--")]
        assert options == ["--sarif"]
        assert all(option in helped(words[:2]) for option in options)


@pytest.mark.parametrize(
    ("statuses", "strict", "end"),
    [((0, 0), "false", 0), ((1, 0), "false", 1), ((0, 2), "false", 0), ((2, 0), "true", 1), ((0, 3), "false", 1)],
)
def test_statuses_end_as_the_table_says(tmp_path, statuses, strict, end):
    """The workflow's own shell script, with a command in toadstone's place that ends with a given status."""
    fake = tmp_path / "toadstone"
    fake.write_text(f'#!/bin/sh\ncase "$2" in files) exit {statuses[0]};; code) exit {statuses[1]};; esac\n')
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "STRICT": strict, "MODELS": "m", "SCRIPTS": "s"}
    ran = subprocess.run(["bash", "-c", SCRIPT], env=env, cwd=tmp_path, check=False, capture_output=True)
    assert ran.returncode == end


def test_the_hooks():
    by_id = {hook["id"]: hook for hook in HOOKS}
    assert set(by_id) == {"toadstone-audit-files", "toadstone-audit-code"}
    assert {hook["id"] for hook in HOOKS_USED["repos"][0]["hooks"]} == set(by_id)
    for hook in HOOKS:
        program, *words = shlex.split(hook["entry"])
        assert program == "toadstone"
        helped(words)
        assert hook["language"] == "python"
    pattern = re.compile(by_id["toadstone-audit-files"]["files"])
    assert all(pattern.search(name) for name in ("a/m.pt", "M.PTH", "x.joblib", "w.safetensors"))
    assert not pattern.search("notes.md")


def test_toadstone_is_installed_by_an_address_alone():
    """The package that bears the name in the public index is somebody else's."""
    installs = re.findall(r"pip3? install[^\n]*", PAGE)
    assert len(installs) == 1
    assert all('"toadstone @ $TOADSTONE"' in line for line in installs)
    assert WORKFLOW["env"]["TOADSTONE"].startswith("git+https://")
