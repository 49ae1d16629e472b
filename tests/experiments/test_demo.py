"""The demo of the command line and the README's "demo in Python" are the same experiment on the same rows."""

import re
from pathlib import Path

import toadstone
from toadstone import report
from toadstone.experiments.demo import demo
from toadstone.experiments.provenance import fingerprint
from toadstone.registry import to_spec

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_runs_what_the_demo_runs(monkeypatch):
    code = re.search(r"## The demo in Python\n\n```python\n(.*?)```", README.read_text(), re.S)[1]
    seen = []

    class Nothing:
        def summary(self):
            return {}

    monkeypatch.setattr(toadstone, "run", lambda *given: seen.append(given) or Nothing(), raising=False)
    monkeypatch.setattr(report, "write", lambda records, path: None, raising=False)
    exec(code, {})
    ((experiment, splits),) = seen
    expected, rows = demo()
    assert to_spec(experiment) == to_spec(expected)  # all that a run draws follows from these two
    assert fingerprint(splits) == fingerprint(rows)
