"""SARIF: what version 2.1.0 requires, checked by hand against its tables of properties."""

import json
from urllib.parse import unquote

import pytest

from toadstone.errors import ToadstoneError
from toadstone.findings import Audit, Finding
from toadstone.scan.code import audit_code
from toadstone.scan.sarif import sarif, write_sarif

PROPERTIES = {  # object: (required, allowed), from the specification's sections 3.13 to 3.58
    "log": ({"version", "runs"}, {"$schema", "version", "runs"}),
    "run": ({"tool"}, {"tool", "automationDetails", "invocations", "columnKind", "results", "properties"}),
    "driver": ({"name"}, {"name", "version", "rules"}),
    "rule": ({"id"}, {"id", "shortDescription", "fullDescription", "help", "defaultConfiguration"}),
    "result": (
        {"message"},
        {"ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints", "properties"},
    ),
    "location": (set(), {"physicalLocation", "logicalLocations"}),
    "physical": (set(), {"artifactLocation", "region"}),
    "artifact": (set(), {"uri", "uriBaseId"}),
    "logical": (set(), {"fullyQualifiedName", "kind"}),
    "notification": ({"message"}, {"message", "level", "descriptor", "locations"}),
    "invocation": (
        {"executionSuccessful"},
        {"executionSuccessful", "exitCode", "exitCodeDescription", "toolExecutionNotifications"},
    ),
}


def fits(kind, thing):
    required, allowed = PROPERTIES[kind]
    assert required <= set(thing) <= allowed, (kind, set(thing))


def check(log):
    json.loads(json.dumps(log, allow_nan=False))
    fits("log", log)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    fits("run", run)
    driver = run["tool"]["driver"]
    fits("driver", driver)
    for rule in driver["rules"]:
        fits("rule", rule)
        assert all(rule[key]["text"] for key in ("shortDescription", "fullDescription", "help"))
        assert rule["defaultConfiguration"]["level"] in ("note", "warning", "error")
    assert len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"])
    (invocation,) = run["invocations"]
    fits("invocation", invocation)
    for notification in invocation["toolExecutionNotifications"]:
        fits("notification", notification)
        assert notification["level"] in ("none", "note", "warning", "error")
    for result in run["results"]:
        fits("result", result)
        assert result["ruleId"] == driver["rules"][result["ruleIndex"]]["id"]
        assert result["message"]["text"]
        for location in result["locations"]:
            fits("location", location)
            physical = location["physicalLocation"]
            fits("physical", physical)
            fits("artifact", physical["artifactLocation"])
            uri = physical["artifactLocation"]["uri"]
            assert uri.isascii()
            assert not set(uri) & set(' "<>\\^`{|}')
            assert physical.get("region", {"startLine": 1})["startLine"] >= 1
            for logical in location.get("logicalLocations", []):
                fits("logical", logical)
    return run


def places(run):
    return [result["locations"][0] for result in run["results"]]


def test_files_members_rows_and_odd_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a!b c%é.pt").write_bytes(b"")
    findings = (
        Finding("pickle-import", "models/m.pt!archive/data.pkl", "It calls os.system.", detail={"opcodes": [1, 2]}),
        Finding("pickle-import", "a!b c%é.pt!x.pkl", "It calls os.system."),
        Finding("unreadable", "models/odd:\udcff.bin", "It could not be read.", "warning"),
        Finding("flagged-row", "row 17", "Its label is another's.", "note", None, {"p": 0.5}),
        Finding(
            "eval", "/elsewhere/t.py", "eval runs text.", "error", 4, {"why": "W.", "instead": "I.", "unseen": "u"}
        ),
        Finding("eval", "n.ipynb!cell 3", "eval runs text.", "error", 2),
    )
    run = check(sarif(Audit("data", "data/set", "Found.", findings, ("Looked.",), ("Not this.",))))
    uris = [unquote(place["physicalLocation"]["artifactLocation"]["uri"]) for place in places(run)]
    assert uris[:2] == ["models/m.pt", "a!b c%é.pt"]
    assert uris[3:] == ["data/set", "file:///elsewhere/t.py", "n.ipynb"]
    inner = [place.get("logicalLocations", [{}])[0].get("fullyQualifiedName") for place in places(run)]
    assert inner == ["archive/data.pkl", "x.pkl", None, "row 17", None, "cell 3"]
    assert places(run)[4]["physicalLocation"]["region"] == {"startLine": 4}
    assert "region" not in places(run)[5]["physicalLocation"]
    assert run["results"][5]["message"]["text"] == "cell 3, line 2: eval runs text."
    assert run["results"][4]["properties"] == {}
    help_ = {rule["id"]: rule["help"]["text"] for rule in run["tool"]["driver"]["rules"]}
    assert help_["eval"] == "W. I. Not seen: u."
    told = [n["message"]["text"] for n in run["invocations"][0]["toolExecutionNotifications"]]
    assert told == ["It could not be read.", "Not checked: Not this."]
    assert run["invocations"][0]["exitCode"] == 1
    assert len({result["partialFingerprints"]["toadstone/v1"] for result in run["results"]}) == len(findings)


def test_of_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b.py").write_text("import pickle\npickle.loads(x)\n")
    (tmp_path / "c.py").write_text("def\n")
    run = check(sarif(audit_code(tmp_path)))
    assert [(r["ruleId"], r["level"]) for r in run["results"]] == [
        ("unsafe-load", "error"),
        ("unreadable", "warning"),
    ]
    assert places(run)[0]["physicalLocation"]["artifactLocation"] == {"uri": "a%20b.py", "uriBaseId": "%SRCROOT%"}
    (tmp_path / "c.py").unlink()
    (tmp_path / "a b.py").write_text("x = 1\n")
    empty = check(sarif(audit_code(tmp_path)))
    assert empty["results"] == []
    assert empty["invocations"][0]["exitCode"] == 0


def test_writing(tmp_path):
    audit = Audit("code", "x", "Nothing.")
    assert json.loads(write_sarif(audit, tmp_path / "deep" / "out.sarif").read_text()) == sarif(audit)
    (tmp_path / "file").write_text("")
    with pytest.raises(ToadstoneError, match="cannot be written"):
        write_sarif(audit, tmp_path / "file" / "out.sarif")
