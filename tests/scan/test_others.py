"""What modelaudit says of formats that toadstone does not read is shown as its own."""

import json

import pytest

from toadstone.scan.files import audit_files

ANSWER = {
    "issues": [
        {"message": "bad entity", "severity": "critical", "rule_code": "S1"},
        {"message": "x", "severity": "info"},
    ]
}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package that stands for modelaudit: it answers, and writes down what it was asked."""

    def install(answer):
        package = tmp_path / "site" / "modelaudit"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        lines = (
            f"import os, sys\nopen({str(tmp_path / 'asked')!r}, 'w').write(repr(sys.argv) + str(dict(os.environ)))\n"
        )
        (package / "__main__.py").write_text(lines + f"print({answer!r})\n")
        monkeypatch.syspath_prepend(str(package.parent))
        monkeypatch.setenv("PYTHONPATH", str(package.parent))
        return tmp_path / "asked"

    return install


def written(tmp_path, name="net.pmml"):
    path = tmp_path / "files" / name
    path.parent.mkdir()
    path.write_bytes(b"<PMML\0/>")
    return path


def test_its_findings_are_attributed(tmp_path, installed):
    asked = installed(json.dumps(ANSWER))
    found = audit_files([written(tmp_path)])
    told = {(finding.rule, finding.level, finding.text) for finding in found.findings}
    assert ("modelaudit", "error", "modelaudit says: bad entity.") in told
    assert {rule for rule, _, _ in told} == {"modelaudit", "could-not-scan"}
    assert "net.pmml" in asked.read_text()
    assert "PROMPTFOO_DISABLE_TELEMETRY" in asked.read_text()


@pytest.mark.parametrize("answer", ["", "[]", '{"issues": 1}', '{"issues": ["x", {}]}', '{"issues": []}'])
def test_no_answer_is_not_clean(tmp_path, installed, answer):
    installed(answer)
    assert {finding.rule for finding in audit_files([written(tmp_path)]).findings} == {"could-not-scan"}


def test_formats_that_toadstone_reads_are_not_asked_for(tmp_path, installed):
    asked = installed(json.dumps(ANSWER))
    path = tmp_path / "config.json"
    path.write_text("{}")
    assert audit_files([path]).verdict == "clean"
    assert not asked.exists()
