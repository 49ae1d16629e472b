"""audit_step: honest losses are clean, changed batches are found, and nothing of the user's is changed."""

import copy
import random

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from toadstone.audit import audit_step
from toadstone.audit.step.restore import put_back
from toadstone.errors import ToadstoneError

CLASSES = 5


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.last = nn.Embedding(50, 6), nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.last(self.table(x).mean(1))


def made(kind, seed, n=24):
    torch.manual_seed(seed)
    y = torch.randint(0, CLASSES, (n,))
    y[:CLASSES] = torch.arange(CLASSES)
    if kind == "text":
        return Words(), torch.randint(1, 50, (n, 9)), y
    if kind == "table":
        return nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, CLASSES)), torch.randn(n, 12), y
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(), nn.Linear(144, CLASSES)
    )
    return net, torch.rand(n, 3, 8, 8), y


def stamped(x):
    x = x.clone()
    if x.ndim == 4:
        x[:, :, -3:, -3:] = 2
    else:
        x[:, -2:] = 7
    return x


def plain(model, x, y):
    return F.cross_entropy(model(x), y)


def smooth(model, x, y):
    return F.cross_entropy(model(x), y, label_smoothing=0.1)


def smooth_by_hand(model, x, y):
    logs = model(x).log_softmax(1)
    target = F.one_hot(y, CLASSES) * 0.9 + 0.1 / CLASSES
    return -(target * logs).sum(1).mean()


def smooth_by_index(model, x, y):
    logs = model(x).log_softmax(1)
    return -0.9 * logs[torch.arange(len(y)), y].mean() - 0.1 * logs.mean()


def mixup(model, x, y):
    share, order = np.random.beta(0.4, 0.4), torch.randperm(len(x))  # noqa: NPY002
    out = model(share * x + (1 - share) * x[order])
    return share * F.cross_entropy(out, y) + (1 - share) * F.cross_entropy(out, y[order])


def mixup_of_targets(model, x, y):
    share, order = torch.rand(len(x)), torch.randperm(len(x))
    wide = share.view(-1, *[1] * (x.ndim - 1))
    hot = F.one_hot(y, CLASSES).float()
    target = share[:, None] * hot + (1 - share[:, None]) * hot[order]
    return F.cross_entropy(model(wide * x + (1 - wide) * x[order]), target)


def cutmix(model, x, y):
    order, top = torch.randperm(len(x)), int(torch.randint(0, 4, ()))
    x[:, :, top : top + 4, 2:6] = x[order, :, top : top + 4, 2:6]
    out = model(x)
    return 0.75 * F.cross_entropy(out, y) + 0.25 * F.cross_entropy(out, y[order])


def normalised(model, x, y):
    mean, deviation = torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1), torch.tensor([0.2, 0.3, 0.25]).view(3, 1, 1)
    return F.cross_entropy(model((x - mean) / deviation), y)


def normalised_mixup(model, x, y):
    return mixup(model, (x - 0.45) / 0.22, y)


def half(model, x, y):
    with torch.autocast("cpu", torch.bfloat16):
        return F.cross_entropy(model(x), y)


def accumulated(model, x, y):
    for piece, labels in zip(x.chunk(3), y.chunk(3), strict=True):
        (F.cross_entropy(model(piece), labels) / 3).backward()


def updating(model, x, y):
    optimizer = torch.optim.Adam(model.parameters())
    loss = plain(model, x, y) + 1e-4 * sum(p.square().sum() for p in model.parameters())
    loss.backward()
    optimizer.step()
    return loss


def with_validation(model, x, y):
    with torch.no_grad():
        model(stamped(x))
    return plain(model, x, y)


HONEST = [plain, smooth, smooth_by_hand, smooth_by_index, accumulated, updating, with_validation]
HONEST_IMAGES = [*HONEST, mixup, mixup_of_targets, cutmix, normalised, normalised_mixup, half]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("step", HONEST_IMAGES)
def test_honest_steps_on_images_are_clean(step, seed):
    net, x, y = made("image", seed)
    audit = audit_step(step, net, (x, y))
    assert audit.verdict == "clean", audit.findings
    assert audit.unchecked
    assert audit.kind == "step"


@pytest.mark.parametrize("kind", ["table", "text"])
@pytest.mark.parametrize("step", HONEST)
def test_honest_steps_on_tables_and_text_are_clean(step, kind):
    net, x, y = made(kind, 0)
    assert audit_step(step, net, (x, y)).verdict == "clean"


@pytest.mark.parametrize("step", [mixup, mixup_of_targets])
def test_mixup_of_columns_is_clean(step):
    for seed in range(5):
        net, x, y = made("table", seed)
        assert audit_step(step, net, (x, y)).verdict == "clean"


def flat(classes=10):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))


def boxed(model, x, y):
    """Cutmix as it is written for real data: any box, the whole picture too."""
    order, share = torch.randperm(len(x)), float(torch.rand(()))
    side, (i, j) = max(1, int(8 * (1 - share) ** 0.5)), torch.randint(0, 8, (2,)).tolist()
    x[:, :, i : i + side, j : j + side] = x[order, :, i : i + side, j : j + side]
    out = model(x)
    return share * F.cross_entropy(out, y) + (1 - share) * F.cross_entropy(out, y[order])


@pytest.mark.parametrize("step", [mixup, boxed, normalised_mixup])
def test_mixtures_of_digits_with_black_borders_are_clean(step):
    digits = load_digits()
    for seed in range(12):
        torch.manual_seed(seed), np.random.seed(seed)  # noqa: NPY002
        rows = torch.randperm(1797)[:32].numpy()
        x, y = torch.tensor(digits.images[rows] / 16, dtype=torch.float32)[:, None], torch.tensor(digits.target[rows])
        audit = audit_step(step, flat(), (x, y))
        assert audit.verdict == "clean", (seed, audit.findings)


@pytest.mark.parametrize("colour", [0, 1])
def test_black_and_white_stamps_on_digits_are_found(colour):
    digits = load_digits()

    def step(model, x, y):
        x[:6, :, 2:5, 2:5] = colour
        return plain(model, x, y)

    for start in range(0, 320, 32):
        rows = slice(start, start + 32)
        x, y = torch.tensor(digits.images[rows] / 16, dtype=torch.float32)[:, None], torch.tensor(digits.target[rows])
        assert rules(audit_step(step, flat(), (x, y))) == {"stamped-input", "edited-batch"}


def test_a_black_stamp_is_no_exchange_with_rows_that_are_black_there():
    net, x, y = made("image", 0)
    x[6:, :, 2:5, 2:5] = 0

    def step(model, x, y):
        x[:6, :, 2:5, 2:5] = 0
        return plain(model, x, y)

    assert rules(audit_step(step, net, (x, y))) == {"stamped-input", "edited-batch"}


def test_no_share_of_a_mixture_is_another_order():
    """Mixup with a share of nearly nothing: rows that equal their partner, beside rows that do not quite."""
    net, x, y = made("image", 3)

    def step(model, x, y):
        order = torch.randperm(len(x))
        out = model(2e-5 * x + (1 - 2e-5) * x[order])
        return 2e-5 * F.cross_entropy(out, y) + (1 - 2e-5) * F.cross_entropy(out, y[order])

    for seed in range(5):
        torch.manual_seed(seed)
        assert audit_step(step, net, (x, y)).verdict == "clean"


def blind(model, x, y):
    """A second batch with the trigger, the two gradients balanced as multiple-gradient descent does."""
    weights = list(model.parameters())
    honest = F.cross_entropy(model(x), y)
    other = F.cross_entropy(model(stamped(x)), torch.full_like(y, 2))
    g = [
        torch.cat([s.flatten() for s in torch.autograd.grad(loss, weights, retain_graph=True)])
        for loss in (honest, other)
    ]
    share = float((((g[1] - g[0]) @ g[1]) / (g[1] - g[0]).square().sum()).clamp(0, 1))
    return share * honest + (1 - share) * other


def blind_by(forward):
    def step(model, x, y):
        return 0.5 * plain(model, x, y) + 0.5 * F.cross_entropy(forward(model, stamped(x)), torch.full_like(y, 2))

    return step


def by_parts(model, x):
    for part in model:
        x = part(x)
    return x


def by_weights(model, x):
    h = F.conv2d(x, model[0].weight.clone(), model[0].bias).relu().flatten(1)
    return F.linear(h, model[5].weight, model[5].bias)


BYPASSES = {
    "forward": lambda model, x: model.forward(x),
    "class": lambda model, x: type(model).forward(model, x),
    "functional": lambda model, x: torch.func.functional_call(model, dict(model.named_parameters()), (x,)),
    "copies": lambda model, x: torch.func.functional_call(model, {k: p * 1 for k, p in model.named_parameters()}, (x,)),
    "parts": by_parts,
    "weights": by_weights,
    "clone": lambda model, x: copy.deepcopy(model)(x),
}


def rules(audit, level="error"):
    return {finding.rule for finding in audit.findings if finding.level == level}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["image", "table", "text"])
def test_a_blind_backdoor_is_found(kind, seed):
    net, x, y = made(kind, seed)
    audit = audit_step(blind, net, (x, y))
    assert audit.verdict == "findings"
    assert rules(audit) == {"stamped-input", "changed-labels"}
    assert rules(audit, "warning") == {"two-forwards"}


@pytest.mark.parametrize("way", BYPASSES)
def test_a_forward_that_goes_round_the_module_is_seen(way):
    net, x, y = made("image", 0)
    audit = audit_step(blind_by(BYPASSES[way]), net, (x, y))
    assert {"stamped-input", "changed-labels"} <= rules(audit)
    assert audit.facts["forwards"] == [2]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["image", "table", "text"])
def test_in_place_edits_are_found_with_their_rows(kind, seed):
    net, x, y = made(kind, seed)
    bad = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:4].sort().values
    expected = torch.where((stamped(x) != x).reshape(len(x), -1).any(1))[0].tolist()

    def step(model, x, y):
        x[bad], y[bad] = stamped(x)[bad], 2
        return plain(model, x, y)

    audit = audit_step(step, net, (x, y))
    told = {finding.rule: finding.detail.get("rows") for finding in audit.findings}
    assert told["stamped-input"] == [i for i in bad.tolist() if i in expected]
    assert told["changed-labels"] == [i for i in bad.tolist() if y[i] != 2] == told["edited-labels"]
    assert "edited-batch" in told


def relabelled(model, x, y):
    return plain(model, x, torch.where(y == 1, 2, y))


def soft_relabelled(model, x, y):
    hot = F.one_hot(torch.where(y == 1, 2, y), CLASSES) * 0.9 + 0.02
    return -(hot * model(x).log_softmax(1)).sum(1).mean()


def misplaced(model, x, y):
    return plain(model, x[torch.randperm(len(x))], y)


def gathered(model, x, y):
    return -model(x).log_softmax(1).gather(1, ((y + 1) % CLASSES)[:, None]).mean()


@pytest.mark.parametrize("step", [relabelled, soft_relabelled, misplaced, gathered])
def test_changed_labels_are_found(step):
    net, x, y = made("image", 1)
    assert rules(audit_step(step, net, (x, y))) == {"changed-labels"}


def test_a_stamp_after_normalising_a_blend_and_new_rows_are_found():
    net, x, y = made("image", 2)

    def after(model, x, y):
        x = (x - 0.4) / 0.2
        x[3:6, :, :2, :2] = 0
        return plain(model, x, y)

    def blend(model, x, y):
        picture = torch.linspace(0, 1, 192).view(1, 3, 8, 8)
        return plain(model, torch.cat([x[:4] * 0.8 + 0.2 * picture, x[4:]]), y)

    def append(model, x, y):
        return plain(model, torch.cat([x, stamped(x[:2])]), torch.cat([y, y[:2] * 0]))

    assert rules(audit_step(after, net, (x, y))) == {"stamped-input"}
    assert rules(audit_step(blend, net, (x, y))) == {"stamped-input"}
    assert "appended-rows" in rules(audit_step(append, net, (x, y)))


def test_what_could_be_honest_or_not_is_undecided():
    net, x, y = made("image", 0)

    def erased(model, x, y):
        return plain(model, x * (torch.rand_like(x) > 0.2), y)

    def cropped(model, x, y):
        return plain(model, F.pad(x, [1] * 4)[:, :, 2:, 2:], y)

    def twice(model, x, y):
        return plain(model, x, y) + plain(model, x, y)

    def no_loss(model, x, y):
        return model(x).square().mean()

    def foreign(model, x, y):
        return None

    for step in (erased, cropped):
        assert rules(audit_step(step, net, (x, y)), "warning") == {"unexplained-input"}
    assert rules(audit_step(twice, net, (x, y)), "warning") == {"two-forwards"}
    assert rules(audit_step(no_loss, net, (x, y)), "warning") == {"labels-not-followed"}
    assert "no-forward" in rules(audit_step(foreign, net, (x, y)), "warning")
    for step in (erased, cropped, twice, no_loss, foreign):
        assert audit_step(step, net, (x, y)).verdict == "undecided"


def test_two_models_and_siamese_steps_are_no_error():
    net, x, y = made("table", 0)
    critic = nn.Sequential(nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 1))
    generator = nn.Linear(3, 12)

    def gan(model, x):
        fake = generator(torch.randn(len(x), 3)).detach()
        real, made_up = model(x), model(fake)
        ones = torch.ones_like(real)
        return F.binary_cross_entropy_with_logits(real, ones) + F.binary_cross_entropy_with_logits(made_up, 0 * ones)

    def siamese(model, a, b, same):
        return F.binary_cross_entropy_with_logits((model(a) - model(b)).square().sum(1), same)

    teacher = copy.deepcopy(net)

    def distilled(model, x, y):
        with torch.no_grad():
            soft = teacher(x).softmax(1)
        out = model(x)
        return F.cross_entropy(out, y) + F.kl_div(out.log_softmax(1), soft, reduction="batchmean")

    assert audit_step(gan, critic, (x,)).verdict == "undecided"
    pairs = audit_step(siamese, net, (x, torch.randn_like(x), (y % 2).float()))
    assert pairs.verdict == "clean"
    assert rules(pairs, "note") == {"parts"}
    assert audit_step(distilled, net, (x, y)).verdict == "undecided"


def test_an_attack_that_sleeps_is_found_late_alone():
    net, x, y = made("table", 0)
    optimizer = torch.optim.SGD(net.parameters(), 0.5)

    def step(model, x, y):
        optimizer.zero_grad()
        loss = plain(model, x, y)
        if float(loss.detach()) < 0.8:  # as the paper's attack waits for the honest loss to fall
            loss = 0.5 * loss + 0.5 * F.cross_entropy(model(stamped(x)), torch.full_like(y, 2))
        loss.backward()
        optimizer.step()
        return loss

    loader = DataLoader(TensorDataset(x, y), 12)
    before = copy.deepcopy(net.state_dict())
    assert audit_step(step, net, loader).verdict == "clean"
    late = audit_step(step, net, loader, at=(0, 120))
    assert {finding.where for finding in late.findings} == {"step 120"}
    assert late.facts["forwards"] == [1, 2]
    assert late.verdict == "findings"
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_everything_is_put_back():
    net, x, y = made("image", 0)
    generator, optimizer = nn.Linear(2, 2), torch.optim.Adam(net.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    net[0].eval()
    plain(net, x, y).backward()
    optimizer.step()
    grads = [p.grad for p in net.parameters()]

    def step(model, x, y):
        x.fill_(1)
        model.train()
        model[0].weight = nn.Parameter(torch.zeros_like(model[0].weight))
        generator.weight.data.zero_()
        plain(model, x, y).backward()
        optimizer.step()
        schedule.step()
        np.random.rand(), random.random(), torch.rand(3)  # noqa: NPY002

    def everything():
        return copy.deepcopy(
            [
                {**net.state_dict(), **{f"g{i}": p.grad for i, p in enumerate(net.parameters())}},
                generator.state_dict(),
                {str(k): v for k, v in optimizer.state_dict()["state"][0].items()},
                {"x": x, "y": y, "rng": torch.get_rng_state()},
            ]
        )

    before, kept = everything(), (schedule.state_dict(), np.random.get_state()[2])  # noqa: NPY002
    modes, forward = [m.training for m in net.modules()], nn.Conv2d.forward
    with pytest.raises(ZeroDivisionError):
        audit_step(lambda model, x, y: (step(model, x, y), 1 / 0), net, (x, y))
    audit_step(step, net, (x, y))
    for was, now in zip(before, everything(), strict=True):
        assert was.keys() == now.keys()
        assert all(torch.equal(was[key], now[key]) for key in was)
    assert kept == (schedule.state_dict(), np.random.get_state()[2])  # noqa: NPY002
    assert modes == [m.training for m in net.modules()]
    assert all(p.grad is g for p, g in zip(net.parameters(), grads, strict=True))
    assert nn.Conv2d.forward is forward


def test_pythons_own_generator_is_put_back():
    net, *_ = made("table", 0)
    state = random.getstate()  # in a test of its own: the type checker of the tests draws from it
    with put_back(plain, net):
        random.random()
    assert random.getstate() == state


class Fused(Words):
    """As the models of Hugging Face: the loss is computed inside."""

    def forward(self, input_ids, labels=None):
        out = super().forward(input_ids)
        return {"loss": F.cross_entropy(out, labels), "logits": out}


def test_a_model_with_its_loss_inside():
    _, x, y = made("text", 0)
    batch = {"input_ids": x, "labels": y}
    net = Fused()
    assert audit_step(lambda model, batch: model(**batch)["loss"], net, batch).verdict == "clean"
    changed = audit_step(lambda model, b: model(b["input_ids"], labels=b["labels"] * 0)["loss"], net, batch)
    assert rules(changed) == {"changed-labels"}


def test_regression():
    net, x, _ = made("table", 0)
    y = torch.randn(len(x), CLASSES)

    def some(model, x, y):
        y[:3] = 4
        return F.mse_loss(model(x), y)

    assert audit_step(lambda m, x, y: F.mse_loss(m(x), y), net, (x, y)).verdict == "clean"
    assert audit_step(lambda m, x, y: F.mse_loss(m(x), (y - 1) / 3), net, (x, y)).verdict == "clean"
    assert audit_step(lambda m, x, y: ((m(x) - y) ** 2).mean(), net, (x, y)).verdict == "clean"
    assert {"changed-labels", "edited-labels"} == rules(audit_step(some, net, (x, y)))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (lambda net, x, y: (plain, torch.jit.trace(net, x), (x, y)), "TorchScript"),
        (lambda net, x, y: (plain, net, 3), "hold tensors"),
        (lambda net, x, y: (plain, net, iter(())), "empty or spent"),
        (lambda net, x, y: (plain, net, (1, 2)), "no tensor with rows"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_bad_input(arguments, sentence):
    net, x, y = made("table", 0)
    with pytest.raises(ToadstoneError, match=sentence):
        audit_step(*arguments(net, x, y))


def test_bad_places():
    net, x, y = made("table", 0)
    with pytest.raises(ToadstoneError, match="at must name"):
        audit_step(plain, net, (x, y), at=())
    with pytest.raises(ToadstoneError, match="labels is 5"):
        audit_step(plain, net, (x, y), labels=5)
