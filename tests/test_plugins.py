"""A package of somebody else's is found by its entry point, and one that is broken is said to be."""

import json
import os
import subprocess
import sys

import pytest

MODULE = '''
from __future__ import annotations

from dataclasses import dataclass

from toadstone.registry import Threat, register


@register("attack", needs=("labels",), threat=Threat(("inputs", "labels")))
@dataclass(frozen=True)
class PluggedSquare:
    """A white square. Nobody, Nowhere 2026."""

    target: int = 7
    count: int = 50

    def goal(self, data):
        from toadstone.goals import BackdoorGoal
        from toadstone.triggers import Patch

        return BackdoorGoal(Patch(size=2), self.target)

    def poison(self, train, *, seed):
        import numpy as np
        from toadstone.core import Poison
        from toadstone.rows import check_two_classes

        check_two_classes(train)
        goal = self.goal(train)
        index = np.sort(np.random.default_rng(seed).choice(goal.rows(train), self.count, replace=False))
        return Poison(index, goal.trigger(train.x[index], seed=seed), np.full_like(train.y[index], self.target), goal)


@register("detector", needs=("labels",))
@dataclass(frozen=True)
class PluggedLoss:
    """Each row's own cross-entropy."""

    def score(self, model, pool, *, seed):
        import numpy as np
        from toadstone.core import Suspicion
        from toadstone.rows import check_two_classes

        rows = pool.data
        check_two_classes(rows)
        return Suspicion(-np.log(np.maximum(model.probs(rows.x)[np.arange(len(rows)), rows.y], 1e-12)))
'''


def installed(folder, name, entry, module=None):
    """A package in ``folder`` as an installer leaves it: its metadata, and its module where there is one."""
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[toadstone.plugins]\n{entry} = {name}\n")
    if module is not None:
        (folder / f"{name}.py").write_text(module)


@pytest.fixture
def site(tmp_path):
    installed(tmp_path / "site", "plugged", "squares", MODULE)
    return tmp_path / "site"


def python(site, *args):
    path = os.pathsep.join([str(site), *(p for p in sys.path if p)])
    env = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, env=env, cwd=site, check=False)


def toadstone(site, *args):
    return python(site, "-m", "toadstone", *args)


def test_a_plugin_is_listed_and_described(site):
    listed = toadstone(site, "list", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    found = {e["name"]: (e["contract"], e["side"], e["stage"]) for e in json.loads(listed.stdout)}
    assert found["plugged-square"] == ("attack", "attacks", "data")
    assert found["plugged-loss"] == ("detector", "defenses", "data")
    assert "strip" in found
    described = json.loads(toadstone(site, "describe", "plugged-square", "--json").stdout)
    assert described["paper"] == described["description"] == "A white square. Nobody, Nowhere 2026."
    assert described["parameters"] == {"target": "7", "count": "50"}
    assert described["threat"]["controls"] == ["inputs", "labels"]


@pytest.mark.slow
def test_a_plugin_runs_and_is_checked(site):
    code = """
from toadstone.checks import check
from toadstone.cli.app import app
from toadstone.registry import from_spec

spec = '{"name": "plugged-square", "count": 30}'
app(["attack", "digits", spec, "-o", "p.npz", "--json"], standalone_mode=False)
check(from_spec({"name": "plugged-square"}))
check(from_spec({"name": "plugged-loss"}))
"""
    done = python(site, "-c", code)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 30


def test_plugins_are_asked_for_strange_names_alone(site):
    code = """
import sys
from toadstone.registry import entry, from_spec

from_spec({"name": "patch"})
entry("strip")
assert "plugged" not in sys.modules
entry("plugged-loss")
assert "plugged" in sys.modules
"""
    asked = python(site, "-c", code)
    assert asked.returncode == 0, asked.stderr


CLASH = "from toadstone.registry import register\nclass Strip: pass\nregister('monitor')(Strip)\n"


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (None, "ModuleNotFoundError: No module named 'broken'"),
        (CLASH, "RuntimeError: 'strip' is registered twice: by toadstone.defenses.inference.strip and broken"),
    ],
    ids=["missing", "clash"],
)
def test_a_broken_plugin_is_one_sentence_and_the_rest_goes_on(site, module, reason):
    installed(site, "broken", "strange", module)
    sentence = f"The plugin 'strange' of broken cannot be imported ({reason}): mend or uninstall it."
    warned = python(site, "-c", "from toadstone.registry import entry, entries; entry('plugged-loss'); entries()")
    assert warned.returncode == 0
    assert warned.stderr.count(f"PluginWarning: {sentence}") == 1


def test_the_exit_status_says_that_a_plugin_is_broken(site):
    installed(site, "broken", "strange", "1 / 0")
    reason = "ZeroDivisionError: division by zero"
    sentence = f"Warning: The plugin 'strange' of broken cannot be imported ({reason}): mend or uninstall it.\n"
    for args in (["list", "--json"], ["describe", "plugged-loss", "--json"]):
        shown = toadstone(site, *args)
        assert (shown.returncode, shown.stderr) == (1, sentence)
        assert "plugged-loss" in shown.stdout
    assert toadstone(site, "describe", "strip", "--json").returncode == 0
    unknown = toadstone(site, "describe", "nobody")
    assert unknown.returncode == 2
    nobody = "Error: Nothing is registered under the name 'nobody'. `toadstone list` shows all names.\n"
    assert unknown.stderr == nobody + sentence
