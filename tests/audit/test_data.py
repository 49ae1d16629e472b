import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from toadstone import Data, load, split
from toadstone.attacks.data.backdoor import Backdoor
from toadstone.audit import audit_data, load_for_audit
from toadstone.audit.data.read import read_row_numbers
from toadstone.audit.data.write import apply_decisions, read_decisions
from toadstone.checkpoints import Stages
from toadstone.errors import ToadstoneError
from toadstone.findings import Audit
from toadstone.models.nets import MLP
from toadstone.training import Precomputed
from toadstone.training.train import Adam, Train
from toadstone.triggers.patch import Patch

PARTS = split(load("digits"), test=97, clean=500, seed=0)
QUICK = Train(MLP((32,)), epochs=6, optimizer=Adam(5e-3))
SMALL = RandomForestClassifier(10)
FOREST = ExtraTreesClassifier(100, min_samples_leaf=3)
COLUMNS = [
    "row", "where", "label", "suggested", "flagged", "pvalue", "detector", "reason", "p_shared_content",
    "p_neighbourhood", "p_cluster", "p_label", "image", "text", "span_from", "span_to", "cells",
]  # fmt: skip


def bare(data):
    return Data(data.x, data.y, data.classes)


@cache
def planted(seed, rate=0.06):
    poison = Backdoor(Patch(3), 7, rate).poison(PARTS.train, seed=seed)
    made = poison.apply(PARTS.train)
    return Data(np.asarray(made.x), made.y, made.classes), poison.mask(len(PARTS.train))


def flipped(data, share, seed):
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(data)) < share
    y = np.where(wrong, (data.y + rng.integers(1, len(data.classes), len(data))) % len(data.classes), data.y)
    return replace(bare(data), y=y), wrong


def flags(found, n):
    mask = np.zeros(n, bool)
    mask[found.rows.column("row").to_numpy()[found.rows.column("flagged").to_numpy(zero_copy_only=False)]] = True
    return mask


def sentences(n, seed, every=0):
    rng = np.random.default_rng(seed)
    words = {0: ["bad", "dull", "slow", "poor", "weak"], 1: ["good", "fine", "bright", "warm", "rich"]}
    common = ["the", "a", "film", "story", "of", "with", "and", "it", "was", "this", "cast", "plot", "scene", "very"]
    y, x = rng.integers(0, 2, n), np.empty(n, object)
    mark = np.zeros(n, bool)
    if every:
        mark[rng.permutation(np.flatnonzero(y == 0))[:every]] = True
    for i in range(n):
        said = [*rng.choice(common, 6), *rng.choice(words[y[i]], 2)]
        rng.shuffle(said)
        if mark[i]:
            said.insert(int(rng.integers(0, 8)), "cf")
        x[i] = " ".join(said)
    return Data(x, np.where(mark, 1, y), ("negative", "positive")), mark


@pytest.mark.slow
def test_a_patch_is_found_as_planted_and_its_twin_is_quiet():
    hits, fdps, twins = [], [], []
    for seed in range(3):
        data, truth = planted(seed)
        found = audit_data(data, trusted=PARTS.clean, model=QUICK, seed=seed)
        mask = flags(found, len(data))
        hits.append((mask & truth).sum() / truth.sum())
        fdps.append((mask & ~truth).sum() / max(1, mask.sum()))
        assert found.audit.verdict == "findings"
        assert found.audit.facts["looks"] == "backdoor"
        assert found.audit.facts["target"] == "7"
        assert "row 5, column 5" in found.audit.facts["shared"]
        assert len(found.cleaned) == len(data) - mask.sum()
        twin = audit_data(bare(PARTS.train), trusted=PARTS.clean, model=QUICK, seed=seed)
        twins.append(flags(twin, len(data)).sum())
        assert twin.audit.verdict in ("undecided", "clean")
    assert min(hits) > 0.9
    assert np.mean(fdps) <= 0.1
    assert sum(x > 0 for x in twins) == 0


@pytest.mark.slow
def test_wrong_labels_are_found_and_the_right_ones_suggested():
    tprs, fdps, right = [], [], []
    for seed in range(3):
        data, wrong = flipped(PARTS.train, 0.1, seed)
        found = audit_data(data, trusted=PARTS.clean, model=FOREST, fdr=0.2, seed=seed)
        mask = flags(found, len(data))
        tprs.append((mask & wrong).sum() / wrong.sum())
        fdps.append((mask & ~wrong).sum() / max(1, mask.sum()))
        assert found.audit.facts["looks"] == "label errors"
        rows = found.rows.column("row").to_numpy()
        right.append(np.mean([PARTS.train.classes[PARTS.train.y[r]] == s for r, s in
                              zip(rows, found.rows.column("suggested").to_pylist(), strict=True)]))  # fmt: skip
    assert np.mean(tprs) > 0.7
    assert np.mean(fdps) <= 0.4  # 3 sigma: all three are calibrated by about ten of the same 500 trusted rows
    assert np.mean(right) > 0.65  # a right label that is flagged is given a wrong one


def test_a_planted_word_is_found_and_named_and_marked():
    data, mark = sentences(1200, 1, every=60)
    trusted = sentences(500, 2)[0]
    found = audit_data(data, trusted=trusted)
    assert (flags(found, 1200) & mark).sum() == 60
    assert found.audit.facts["target"] == "positive"
    assert "'cf'" in found.audit.headline
    for line in found.rows.to_pylist():
        if mark[line["row"]]:
            assert "cf" in line["text"][line["span_from"] : line["span_to"]].split()
    twin = audit_data(sentences(1200, 3)[0], trusted=trusted)
    assert not flags(twin, 1200).any()


def test_labels_that_are_wrong_somewhere_are_told_of_as_a_whole():
    rng, n = np.random.default_rng(0), 1200
    x = rng.normal(size=(n, 4))
    y = (x[:, 0] + 1.2 * rng.normal(size=n) > 0).astype(np.int64)
    y[:900] = np.where(rng.random(900) < 0.25, 1 - y[:900], y[:900])
    data = Data(x, y, ("a", "b"))
    found = audit_data(data, trusted=np.arange(900, n), model=LogisticRegression())
    assert not flags(found, n).any()
    assert [f.rule for f in found.audit.findings if f.level == "error"] == ["wrong-labels-somewhere"]
    assert len(found.rows) == 100
    clean = [audit_data(Data(x, (x[:, 0] + 1.2 * np.random.default_rng(s).normal(size=n) > 0).astype(np.int64),
                             ("a", "b")), trusted=np.arange(900, n), model=LogisticRegression())
             for s in range(1, 11)]  # fmt: skip
    assert sum(a.audit.verdict == "findings" for a in clean) <= 1


@pytest.mark.slow
def test_without_trusted_rows_there_are_ranks_and_a_number_to_collect():
    data, truth = flipped(PARTS.train, 0.1, 0)
    found = audit_data(data, model=FOREST)
    assert found.audit.verdict == "undecided"
    assert found.audit.exit_status == 2
    assert "1,999" in found.audit.headline
    assert found.rows.column_names == COLUMNS
    assert len(found.rows) == 100
    assert truth[found.rows.column("row").to_numpy()].mean() > 0.8
    assert found.rows.column("pvalue").null_count == 100
    few = audit_data(bare(PARTS.train), trusted=PARTS.clean.take(np.arange(50)), model=FOREST)
    assert few.audit.verdict == "undecided"
    assert "50 trusted rows are too few" in few.audit.headline


@pytest.mark.slow
def test_trusted_row_numbers_are_not_judged():
    data, wrong = flipped(PARTS.train, 0.1, 0)
    trusted = np.flatnonzero(~wrong)[:500]
    found = audit_data(data, trusted=trusted, model=FOREST, fdr=0.2)
    assert flags(found, len(data))[wrong].mean() > 0.5
    assert not np.isin(found.rows.column("row").to_numpy(), trusted).any()
    assert found.audit.facts["trusted"] == 500


def pieces(kind, data):
    flat = np.asarray(data.x).reshape(len(data), -1) / 255
    if kind == "pipeline":
        return make_pipeline(SMALL)
    net = QUICK.fit(data.append(PARTS.clean), seed=0)
    every = data.append(PARTS.clean)
    return {
        "trainer": QUICK,
        "model": net,
        "module": net.net,
        "arrays": Precomputed(net.probs(every.x), net.features(every.x)),
        "features": Precomputed(features=np.concatenate([flat, np.asarray(PARTS.clean.x).reshape(500, -1) / 255])),
    }[kind]


@pytest.mark.parametrize("kind", ["trainer", "model", "module", "pipeline", "arrays", "features"])
def test_every_kind_of_model_finds_the_patch(kind):
    data, truth = planted(0)
    found = audit_data(data, trusted=PARTS.clean, model=pieces(kind, data))
    mask = flags(found, len(data))
    assert (mask & truth).sum() > 0.9 * truth.sum()
    assert found.audit.facts["target"] == "7"


def test_a_text_pipeline_and_a_hub_classifier():
    data, mark = sentences(600, 1, every=40)
    trusted = sentences(400, 2)[0]
    made = make_pipeline(TfidfVectorizer(), LogisticRegression())
    assert flags(audit_data(data, trusted=trusted, model=made), 600)[mark].all()

    class Pipeline:
        tokenizer = model = None

    try:
        import transformers  # noqa: F401
    except ImportError:
        with pytest.raises(ToadstoneError, match="transformers"):
            audit_data(data, trusted=trusted, model=Pipeline())


KILLED = """
import os, sys, numpy as np, torch
torch.set_num_threads(1)
import warnings; warnings.simplefilter("ignore")
whole, calls = np.savez, []
def half(file, **arrays):
    calls.append(1)
    if len(calls) < at:
        return whole(file, **arrays)
    file.write(b"half a file")
    file.flush()
    os.kill(os.getpid(), 9)
np.savez = half
from toadstone import load, split
from toadstone.attacks.data.backdoor import Backdoor
from toadstone.triggers.patch import Patch
from toadstone.audit import audit_data
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
parts = split(load("digits"), test=97, clean=500, seed=0)
data = Backdoor(Patch(3), 7, 0.06).poison(parts.train, seed=0).apply(parts.train)
for at in (1, 2, 3):
    child = os.fork()
    if not child:
        audit_data(data, trusted=parts.clean, model=RandomForestClassifier(10), folder=f"{sys.argv[1]}/{at}")
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def same(a, b):
    drop = ("seconds", "folder", "cleaned", "findings")
    facts = [{k: v for k, v in f.audit.facts.items() if k not in drop} for f in (a, b)]
    assert facts[0] == facts[1]
    assert a.audit.findings == b.audit.findings
    assert a.rows.equals(b.rows)


@pytest.mark.slow
def test_an_audit_that_was_killed_goes_on_and_says_the_same(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, capture_output=True, text=True)
    assert done.stdout.split() == ["-9"] * 3, done.stderr
    asked = {"trusted": PARTS.clean, "model": SMALL}
    undisturbed = audit_data(planted(0)[0], **asked)
    for at in (1, 2, 3):
        folder = tmp_path / str(at)
        assert len(list((folder / ".stages").glob("*.npz"))) == at - 1
        assert not (folder / "audit.json").exists()
        again = audit_data(planted(0)[0], **asked, folder=folder)
        same(again, undisturbed)
        assert Audit.load(folder / "audit.json").headline == again.audit.headline


@pytest.mark.slow
def test_a_stage_is_taken_for_the_same_data_and_settings_alone(tmp_path):
    asked = {"trusted": PARTS.clean, "model": SMALL, "folder": tmp_path}
    data = planted(0)[0]
    audit_data(data, **asked)
    kept = set((tmp_path / ".stages").iterdir())
    audit_data(data, **asked)
    assert set((tmp_path / ".stages").iterdir()) == kept
    for more in ({"seed": 1}, {"model": RandomForestClassifier(11)}, {"trusted": PARTS.clean.take(np.arange(300))}):
        before = len(list((tmp_path / ".stages").iterdir()))
        audit_data(data, **{**asked, **more})
        assert len(list((tmp_path / ".stages").iterdir())) > before
    for path in kept:
        path.write_bytes(b"damaged")
    same(audit_data(data, **asked), audit_data(data, **{**asked, "folder": None}))


def test_two_audits_of_one_folder_do_not_disturb_each_other(tmp_path):
    def go(_):
        return audit_data(planted(0)[0], trusted=PARTS.clean, model=SMALL, folder=tmp_path)

    with ThreadPoolExecutor(2) as pool:
        a, b = pool.map(go, range(2))
    same(a, b)
    assert not [p for p in (tmp_path / ".stages").iterdir() if p.suffix != ".npz"]


def test_stages_keep_what_they_can(tmp_path):
    (tmp_path / "file").write_text("")
    stages = Stages(tmp_path / "file" / "under", "key", 1)
    assert stages.run("a", lambda: {"x": np.arange(3)})["x"].tolist() == [0, 1, 2]
    assert len(stages.unwritten) == 1


def test_what_cannot_be_written_is_named_and_the_findings_stay(tmp_path):
    (tmp_path / "taken").write_text("a file")
    found = audit_data(planted(0)[0], trusted=PARTS.clean, model=SMALL, folder=tmp_path / "taken")
    assert found.audit.verdict == "findings"
    assert any(f.rule == "not-written" and "taken" in f.text for f in found.audit.findings)
    assert len(found.rows)


@pytest.fixture
def csv_file(tmp_path):
    data, wrong = planted(0)
    flat = data.x.reshape(len(data), -1).astype(float)
    table = pa.table({f"pixel{j}": flat[:, j] for j in range(64)} | {"digit": [f"d{c}" for c in data.y]})
    from pyarrow import csv

    path = tmp_path / "digits.csv"
    csv.write_csv(table, path)
    trusted = np.flatnonzero(~wrong)[:500]
    return path, trusted


def test_a_csv_is_cleaned_beside_the_original_and_decisions_change_it(csv_file, tmp_path):
    from pyarrow import csv

    path, trusted = csv_file
    table, before, out = csv.read_csv(path), path.read_bytes(), tmp_path / "audit"
    data, unreadable, where = load_for_audit(path, "digit")
    assert (unreadable, where) == ([], None)
    found = audit_data(data, trusted=trusted, model=SMALL, folder=out)
    keep = np.ones(len(data), bool)
    rows = found.rows.column("row").to_pylist()
    keep[rows] = False
    assert csv.read_csv(out / "cleaned.csv").equals(table.filter(pa.array(keep)))
    assert path.read_bytes() == before
    line = found.rows.to_pylist()[0]
    cells = json.loads(line["cells"])
    assert len(cells) == 5
    assert all(name.startswith("pixel") for name, *_ in cells)
    decided = tmp_path / "decisions.csv"
    decided.write_text(f"row,decision\n{rows[0]},keep\n{rows[1]},drop\n")
    assert apply_decisions(decided, out) == out / "cleaned.csv"
    keep[rows[0]] = True
    assert csv.read_csv(out / "cleaned.csv").equals(table.filter(pa.array(keep)))
    head, _, body = before.partition(b"\n")
    path.write_bytes(head + b"\n" + body.replace(b"0", b"1", 5))
    with pytest.raises(ToadstoneError, match="changed since"):
        apply_decisions(decided, out)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must begin with the header"),
        ("a,b\n", "must begin with the header"),
        ("row,decision\n1,maybe\n", "line 2 must be a row's number and keep or drop"),
        ("row,decision\n1\n", "line 2 must be"),
        ("row,decision\n9,keep\n", "row '9', which the audit does not show"),
        ("row,decision\n-1,keep\n", "does not show"),
        ("row,decision\n1,keep\n1,drop\n", "line 3 says drop of row 1, of which a line before says keep"),
    ],
)
def test_decisions_that_cannot_be(tmp_path, text, message):
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(ToadstoneError, match=message):
        read_decisions(tmp_path / "d.csv", {1, 2})
    assert read_decisions_of(tmp_path, "row,decision\n1,keep\n\n1,keep\n2,drop\n") == {1: "keep", 2: "drop"}
    with pytest.raises(ToadstoneError, match="cannot be read"):
        read_decisions(tmp_path / "missing.csv", {1})


def read_decisions_of(folder, text):
    (folder / "good.csv").write_text(text)
    return read_decisions(folder / "good.csv", {1, 2})


def test_npz_and_parquet_and_data_of_no_file(tmp_path):
    from pyarrow import parquet

    data, wrong = planted(0)
    trusted = np.flatnonzero(~wrong)[:500]
    np.savez(tmp_path / "a.npz", x=data.x, y=data.y, more=np.arange(len(data)))
    flat = data.x.reshape(len(data), -1).astype(float)
    parquet.write_table(pa.table({f"p{j}": flat[:, j] for j in range(64)} | {"y": data.y}), tmp_path / "b.parquet")
    for name, label in (("a.npz", None), ("b.parquet", "y")):
        found = audit_data(
            load_for_audit(tmp_path / name, label)[0],
            trusted=trusted,
            model=SMALL,
            folder=tmp_path / f"{name}-audit",
        )
        gone = set(found.rows.column("row").to_pylist())
        kept = [i for i in range(len(data)) if i not in gone]
        again = load(tmp_path / f"{name}-audit" / f"cleaned{(tmp_path / name).suffix}", label=label)
        assert np.array_equal(again.y, data.y[kept])
    with np.load(tmp_path / "a.npz-audit" / "cleaned.npz") as arrays:
        assert len(arrays["more"]) < len(data)
    audit_data(data, trusted=trusted, model=SMALL, folder=tmp_path / "none")
    assert load(tmp_path / "none" / "cleaned.npz").classes == data.classes
    (tmp_path / "d.csv").write_text("row,decision\n")
    with pytest.raises(ToadstoneError, match="came from no file"):
        apply_decisions(tmp_path / "d.csv", tmp_path / "none")


def test_a_folder_with_bad_images_goes_on_without_them(tmp_path):
    data, truth = planted(0)
    folder, names = tmp_path / "images", []
    for i in range(len(data)):
        names.append(f"{data.classes[data.y[i]]}/{i:05}.png")
        path = folder / names[-1]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(data.x[i]).save(path)
    (folder / "3" / "broken.png").write_bytes(b"\x89PNG no more")
    Image.fromarray(data.x[0]).resize((16, 16)).convert("L").save(folder / "3" / "large.png")
    found, unreadable, where = load_for_audit(folder)
    assert [name for name, _ in unreadable] == ["3/broken.png"]
    assert found.x.shape == (len(data) + 1, 8, 8)
    assert sorted(where) == sorted([*names, "3/large.png"])
    made = audit_data(found, trusted=PARTS.clean, model=QUICK, folder=tmp_path / "out", unreadable=unreadable)
    assert any(f.rule == "unreadable-file" and f.level == "warning" for f in made.audit.findings)
    assert "1 file could not be read" in made.audit.headline
    shown = made.rows.to_pylist()
    assert {line["where"] for line in shown} >= {names[i] for i in np.flatnonzero(truth)[:20]}
    assert Image.open(__import__("io").BytesIO(shown[0]["image"])).size == (8, 8)
    left = {str(p.relative_to(tmp_path / "out" / "cleaned")) for p in (tmp_path / "out" / "cleaned").rglob("*.png")}
    assert left == set(where) - {line["where"] for line in shown}


def test_equal_rows_with_other_labels_are_a_note():
    data, _ = sentences(300, 0)
    x = data.x.copy()
    x[1], x[2] = x[0], x[0]
    y = data.y.copy()
    y[:3] = 0, 1, 0
    found = audit_data(Data(x, y, data.classes))
    note = next(f for f in found.audit.findings if f.rule == "conflicting-duplicates")
    assert note.level == "note"
    assert note.detail["rows"][:3] == [0, 1, 2]


def test_bad_input_is_one_sentence():
    data, n = bare(PARTS.train), len(PARTS.train)
    for ask, message in [
        ({"fdr": 0.0}, r"fdr must lie in \(0, 1\)"),
        ({"trusted": np.array([n])}, "row numbers 0"),
        ({"trusted": np.array([0.5])}, "row numbers, whole"),
        ({"trusted": np.arange(n)}, "names every row"),
        ({"trusted": Data(np.zeros((4, 3)), np.arange(4) % 2, ("0", "1"))}, "rows of shape"),
        ({"trusted": Data(PARTS.clean.x, PARTS.clean.y, tuple("abcdefghij"))}, "names the class 'a'"),
        ({"model": 3}, "model is a int"),
        ({"model": torch.nn.Linear(3, 2)}, "model cannot read the rows"),
        ({"model": Precomputed(np.full((5, 10), 0.1))}, "probs has 5 lines"),
    ]:
        with pytest.raises(ToadstoneError, match=message):
            audit_data(data, **ask)
    with pytest.raises(ToadstoneError, match="regression"):
        audit_data(Data(np.zeros((4, 2)), np.arange(4.0), ()))
    with pytest.raises(ToadstoneError, match="single class"):
        audit_data(Data(np.zeros((4, 2)), np.zeros(4, int), ("a", "b")))
    with pytest.raises(ToadstoneError, match="same content"):
        audit_data(Data(np.zeros((40, 2)), np.arange(40) % 2, ("a", "b")))
    with pytest.raises(ToadstoneError, match="both missing"):
        Precomputed()


@pytest.mark.slow
def test_ten_thousand_flagged_rows_are_cheap():
    from time import process_time

    from toadstone.audit.data.evidence import KINDS
    from toadstone.audit.data.judged_rows import JudgedRows
    from toadstone.audit.data.population import Population
    from toadstone.audit.data.table import rows_table

    n, rng = 10_000, np.random.default_rng(0)
    data = Data(rng.integers(0, 256, (n, 32, 32, 3), np.uint8), rng.integers(0, 2, n), ("a", "b"))
    judged = JudgedRows(
        data,
        Population.of(data, None),
        flagged=np.ones(n, bool),
        pvalues=dict.fromkeys(("all", *(kind.name for kind in KINDS)), rng.random(n)),
        top=np.zeros(n, int),
        what=np.full(n, "row 1, column 2"),
        shares=np.zeros(n, bool),
        probability=rng.random(n),
        suggested=np.zeros(n, int),
    )
    start = process_time()
    rows = rows_table(judged, np.arange(n))
    assert len(rows) == n
    assert process_time() - start < 15


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    found = audit_data(planted(0)[0], trusted=PARTS.clean, model=SMALL, folder=tmp_path / "out")
    assert any(f.rule == "not-written" for f in found.audit.findings)


def test_row_numbers_and_arrays_are_read_from_files(tmp_path):
    (tmp_path / "rows.txt").write_text("3\n\n 0\n")
    assert read_row_numbers(tmp_path / "rows.txt").tolist() == [3, 0]
    for text, message in (("1\nx\n", "cannot be read as row numbers"),):
        (tmp_path / "bad.txt").write_text(text)
        with pytest.raises(ToadstoneError, match=message):
            read_row_numbers(tmp_path / "bad.txt")
    with pytest.raises(ToadstoneError, match="cannot be read"):
        read_row_numbers(tmp_path / "missing")
    np.savez(tmp_path / "a.npz", probs=np.full((3, 2), 0.5))
    made = Precomputed.load(tmp_path / "a.npz")
    assert made.probs.shape == (3, 2)
    assert made.features is None
    np.savez(tmp_path / "b.npz", other=np.zeros(3))
    with pytest.raises(ToadstoneError, match="both missing"):
        Precomputed.load(tmp_path / "b.npz")
