from __future__ import annotations

import io
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from toadstone import Data, ToadstoneError, load, split
from toadstone.attacks import Backdoor
from toadstone.audit import audit_model, repair_model
from toadstone.checkpoints import Stages
from toadstone.core import Mended, Rate
from toadstone.defenses import FinePruning, ReferenceCleanse
from toadstone.defenses.model import reference_cleanse as search
from toadstone.defenses.model.sizes import excess, index, pvalues
from toadstone.models import MLP, SklearnModel
from toadstone.models.foreign import Takes, adapt
from toadstone.training import Adam, Fit, Train
from toadstone.training.references import fresh, reference
from toadstone.triggers import Blend, Patch
from toadstone.whitebox.reverse import Rectangle, Shift, reverse

TARGET = 3
TRIGGERS = {"patch": Patch(1), "blend": Blend(0.3), "": None}


@lru_cache(maxsize=8)
def example(trigger, seed):
    """(net, clean rows, test rows) of the 8x8 digits."""
    splits = split(load("digits"), clean=500, test=300, seed=seed)
    data = splits.train
    if trigger:
        data = Backdoor(TRIGGERS[trigger], TARGET, 0.1).poison(data, seed=seed).apply(data)
    trainer = Train(MLP((48,)), epochs=12, optimizer=Adam(3e-3), batch_size=32)
    return trainer.fit(data, seed=seed), splits.clean, splits.test


QUICK = ReferenceCleanse(references=1, training_steps=200, rectangle_steps=160, shift_steps=100)


@pytest.fixture(autouse=True)
def one_quick_reference(monkeypatch):
    """One reference and fewer steps: the verdicts are as clear, the file is quicker."""
    use(QUICK, monkeypatch)


def use(inspector, monkeypatch):
    for place in ("model", "repair"):
        monkeypatch.setattr(f"toadstone.audit.{place}.INSPECTOR", inspector)


@lru_cache(maxsize=8)
def audit(trigger, seed):
    model, clean, _ = example(trigger, seed)
    return audit_model(model, clean, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize(("trigger", "seed"), [("patch", 0), ("patch", 1), ("blend", 2), ("blend", 3)])
def test_an_infected_net_is_found_with_its_class(trigger, seed):
    found = audit(trigger, seed)
    assert found.audit.verdict == "findings"
    assert found.accused == (TARGET,)
    (finding,) = [f for f in found.audit.findings if f.level == "error"]
    assert finding.detail["pvalue"] <= 0.05
    model, _, test = example(trigger, seed)
    others = test.take(test.y != TARGET)
    stamped = found.triggers[TARGET].stamp(0, others.x)
    assert (model.logits(stamped).argmax(1) == TARGET).mean() > 0.6  # on rows that the audit never saw
    assert f"Class {TARGET}" in found.audit.headline
    assert "p = " in found.audit.headline
    if trigger == "patch":
        mask = found.triggers[TARGET].mask[0]
        place = mask if mask.any() else np.abs(found.triggers[TARGET].shift[0, ..., 0])
        assert np.unravel_index(place.argmax(), place.shape) == (7, 7)
        assert finding.detail["again_alike"] > 0.7


@pytest.mark.slow
def test_clean_twins_are_accused_no_more_often_than_the_level():
    alarms = sum(audit("", seed).audit.verdict == "findings" for seed in range(3))
    assert Rate.of(alarms, 3).low <= 0.05
    quiet = audit("", 0)
    assert quiet.audit.verdict == "clean"
    assert quiet.audit.unchecked
    assert "No backdoor of a small, fixed trigger" in quiet.audit.headline


def test_pictures_are_png_of_the_accused_class():
    ((name, png),) = audit("patch", 0).pictures().items()
    assert name.startswith(f"class {TARGET}: a clean image")
    assert Image.open(io.BytesIO(png)).size == (480, 160)
    assert len(audit("", 0).pictures()) == 1


def test_repair_mends_a_copy_and_is_measured(tmp_path):
    found = audit("patch", 0)
    weights = {k: v.clone() for k, v in found.model.net.state_dict().items()}
    mended = repair_model(found)
    told = mended.audit.facts["repair"]
    assert told[f"trigger_before_class_{TARGET}"] > 0.6
    assert told[f"trigger_after_class_{TARGET}"] < 0.4
    assert told["accuracy_after"] > told["accuracy_before"] - 0.08
    for name, values in found.model.net.state_dict().items():
        assert torch.equal(values, weights[name])
    path = mended.save_repaired(tmp_path / "mended.safetensors")
    held = load_file(path)
    assert set(held) == set(weights)
    assert any(not torch.equal(held[name], weights[name]) for name in held)
    with pytest.raises(ToadstoneError, match="there already"):
        mended.save_repaired(path)
    with pytest.raises(ToadstoneError, match="safetensors"):
        mended.save_repaired(tmp_path / "mended.pt")
    with pytest.raises(ToadstoneError, match="repair_model"):
        found.save_repaired(tmp_path / "other.safetensors")


def test_any_repair_mends_and_its_log_is_kept():
    found, given = audit("patch", 0), []

    class Untouched:
        def repair(self, model, clean, *, evidence=None, seed):
            given.append((clean, evidence))
            return Mended(model, {"steps": 0})

    same = repair_model(found, Untouched()).audit
    told = same.facts["repair"]
    assert (told["method"], told["log"]) == ("Untouched", {"steps": 0})
    assert told["accuracy_before"] == told["accuracy_after"]
    assert same.findings[-1].text.startswith("Untouched: on 166 clean rows that it did not use, the accuracy goes")
    assert len(given[0][0]) == 500 - 166
    assert given[0][1].found[TARGET] is found.triggers[TARGET]
    pruned = repair_model(found, FinePruning(steps=5, bound=0.02)).audit.facts["repair"]
    assert (pruned["method"], len(pruned["log"]["loss"])) == ("fine-pruning", 5)


def test_a_wrong_input_range_decides_nothing_and_names_the_right_one():
    model, clean, _ = example("patch", 0)

    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model.net

        def forward(self, x):  # trained on -1..1; anything else is cut off
            return self.inner((x.clamp(-1, 1) + 1) / 2) if x.detach().min() < -0.5 else 0 * self.inner(x)

    found = audit_model(Wide(), clean)
    assert found.audit.verdict == "undecided"
    assert found.audit.findings[0].detail["suggested"] == str(Takes(-1.0, 1.0))
    right = audit_model(adapt(Wide(), clean, Takes(-1.0, 1.0)), clean)
    assert right.accused == (TARGET,)


def test_less_than_the_expected_accuracy_decides_nothing():
    model, clean, _ = example("", 0)
    found = audit_model(model, clean, expected_accuracy=1.0)
    assert found.audit.verdict == "undecided"
    assert "expected 100%" in found.audit.headline
    noise = Data(clean.x, np.random.default_rng(0).permutation(clean.y), clean.classes)
    assert "twice chance" in audit_model(model, noise).audit.headline


def test_what_cannot_be_asked_is_undecided():
    _, clean, _ = example("", 0)
    forest = Fit("sklearn.linear_model.LogisticRegression", {"max_iter": 500})
    black = forest.fit(Data(clean.x / 16, clean.y, clean.classes), seed=0)
    black = SklearnModel(black.estimator, clean.classes)
    found = audit_model(black, Data(clean.x / 16, clean.y, clean.classes))
    assert (found.audit.verdict, found.audit.findings[0].rule) == ("undecided", "no-gradients")
    assert found.accused == ()
    assert any("Any backdoor" in words for words in found.audit.unchecked)
    with pytest.raises(ToadstoneError, match="weights"):
        repair_model(found)
    model, _, _ = example("", 0)
    assert audit_model(model, clean.take(np.arange(60))).audit.findings[0].rule == "few-rows"
    table = Data(np.random.default_rng(0).normal(size=(200, 4)), np.arange(200) % 3, ("a", "b", "c"))
    table.x[np.arange(200), table.y] += 5
    columns = Train(epochs=4).fit(table, seed=0)
    assert audit_model(columns, table).audit.findings[0].rule == "not-images"


def test_bad_settings_are_turned_away():
    model, clean, _ = example("", 0)
    numbers = Data(clean.x, clean.y.astype(float), ())
    for given, words in [
        ((model, clean, {"level": 0.0}), "level"),
        ((model, clean, {"expected_accuracy": 2.0}), "expected_accuracy"),
        ((model, numbers, {}), "regression"),
        ((model, Data(clean.x, clean.y % 4, ("a", "b", "c", "d")), {}), "10 classes"),
        ((model, Data(np.zeros((120, 9, 9), np.uint8), np.arange(120) % 10, clean.classes), {}), "8 x 8"),
    ]:
        with pytest.raises(ToadstoneError, match=words):
            audit_model(given[0], given[1], **given[2])


@pytest.mark.slow
def test_a_killed_audit_goes_on_where_it_was(tmp_path, monkeypatch):
    model, clean, _ = example("patch", 0)
    calls = []

    def counted(*args, **settings):
        calls.append(args)
        if len(calls) == limit:
            raise KeyboardInterrupt
        return reverse(*args, **settings)

    monkeypatch.setattr(search, "reverse", counted)
    limit = 3
    with pytest.raises(KeyboardInterrupt):
        audit_model(model, clean, folder=tmp_path)
    assert len(list(tmp_path.rglob("*.npz"))) == 3  # two kinds and a reference
    limit, done = -1, len(calls) - 1
    found = audit_model(model, clean, folder=tmp_path)
    total = len(calls) - 1
    assert found.audit.facts == audit("patch", 0).audit.facts
    assert found.audit.headline == audit("patch", 0).audit.headline
    calls.clear()
    audit_model(model, clean, folder=tmp_path)
    assert not calls
    assert done == 2
    assert total == 5  # two kinds in two nets, and the accused class once more
    damaged = next(tmp_path.rglob("model-shift-0.npz"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    again = audit_model(model, clean, folder=tmp_path)
    assert len(calls) == 1
    assert again.audit.headline == found.audit.headline
    other, _, _ = example("", 0)
    calls.clear()
    audit_model(other, clean, folder=tmp_path)
    assert len(calls) == 4  # nothing of another model is taken


def toy(k, strength=30, side=8, seed=0):
    """k classes, each with a pixel of its own that is bright; the logits read it, and the last one is the trigger."""
    draw = np.random.default_rng(seed)
    y = np.arange(8 * k) % k
    x = draw.integers(0, 60, (len(y), side, side))
    x.reshape(len(y), -1)[np.arange(len(y)), y] += 150
    x[:, -1, -1] = 0
    weight = np.zeros((k, side * side), np.float32)
    weight[np.arange(k), np.arange(k)] = draw.uniform(8, 14, k)
    weight[7, -1] = strength
    net = nn.Sequential(nn.Flatten(), nn.Linear(side * side, k))
    with torch.no_grad():
        net[1].weight.copy_(torch.from_numpy(weight))
        net[1].bias.zero_()
    return net, Data(x.astype(np.uint8), y, tuple(map(str, range(k))))


@pytest.mark.slow
def test_a_quick_pass_over_many_classes_accuses_the_same_one(monkeypatch):
    net, clean = toy(40, 300)
    quick = audit_model(net, clean)
    assert quick.audit.facts["classes_looked_at"] == 16
    assert np.isnan(quick.evidence["index"]).sum() == 24
    use(replace(QUICK, many=100), monkeypatch)
    whole = audit_model(net, clean)
    assert whole.audit.facts["classes_looked_at"] == 40
    assert quick.accused == whole.accused == (7,)


def test_sizes_are_near_the_closed_form():
    """Of a linear net: the trigger pixel must outweigh the brightest other one."""
    net, clean = toy(10)
    model = adapt(net, clean)
    z = model.logits(clean.x)
    margin = np.quantile(z.max(1) - z[:, 7], 0.97)
    shift = reverse(model, clean, np.array([7]), Shift(), seed=0)
    rectangle = reverse(model, clean, np.array([7]), Rectangle(), seed=0)
    assert 0.5 * margin / 30 < shift.size[0] < 1.5 * margin / 30
    assert 0.5 * margin / 30 < rectangle.size[0] < 2.5 * margin / 30
    assert rectangle.mask[0].argmax() == 63
    for found in (shift, rectangle):
        assert (model.logits(found.stamp(0, clean.x)).argmax(1) == 7).mean() > 0.8


def test_classes_do_not_influence_each_other():
    net, clean = toy(10)
    model = adapt(net, clean)
    for kind in (Rectangle(steps=60), Shift(steps=60)):
        every = reverse(model, clean, np.arange(10), kind, seed=1)
        for c in (2, 7):
            alone = reverse(model, clean, np.array([c]), kind, seed=1)
            np.testing.assert_allclose(alone.size[0], every.size[c], rtol=0.02)


def test_fresh_nets_have_forgotten_and_references_learn():
    model, clean, _ = example("patch", 0)
    before = {k: v.clone() for k, v in model.net.state_dict().items()}
    new = fresh(model.net, 1)
    for name, values in new.state_dict().items():
        assert not torch.equal(values, before[name])
    assert all(torch.equal(v, before[k]) for k, v in model.net.state_dict().items())

    class Raw(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.arange(50.0))

    shuffled = fresh(Raw(), 0).weight.detach()
    assert not torch.equal(shuffled, torch.arange(50.0))
    assert torch.equal(shuffled.sort()[0], torch.arange(50.0))
    learnt = reference(model, clean, seed=0)
    assert (learnt.logits(clean.x).argmax(1) == clean.y).mean() > 0.8
    trigger = TRIGGERS["patch"](clean.x[clean.y != TARGET], seed=0)
    assert (model.logits(trigger).argmax(1) == TARGET).mean() > 0.7
    assert (learnt.logits(trigger).argmax(1) == TARGET).mean() < 0.3  # what it learnt has no backdoor


def test_index_and_pvalues_by_hand():
    own = np.array([10.0, 10.0, 3.0, 10.0, 10.0])
    references = np.array([[5.0, 9.0, 5.0, 5.0, 4.0]])  # hard to reach in the reference: that accuses nobody
    np.testing.assert_allclose(excess(own, references, np.ones(5, bool)), [0, 0, -7, 0, 1])
    found = index(own, references, np.ones(5, bool))
    np.testing.assert_allclose(found, np.array([0, 0, 7, 0, -1]) / np.sqrt(0.5))
    draws = np.random.default_rng(0).standard_t(5, 400_000)
    assert pvalues(np.array([3.0]), 5)[0] == pytest.approx(5 * (draws >= 3).mean(), rel=0.05)


def test_stages_without_a_folder_keep_nothing(tmp_path):
    made = []
    for _ in range(2):
        Stages(None, "").arrays("x", lambda: made.append(1) or {"a": np.ones(2)})
        Stages(tmp_path, "key").arrays("x", lambda: made.append(2) or {"a": np.ones(2)})
    assert made == [1, 2, 1]
