"""Harmless files by kind: what honest programs write, and what looks like something else."""

import argparse
import array
import collections
import datetime
import decimal
import fractions
import functools
import ipaddress
import itertools
import json
import logging
import operator
import pathlib
import pickle
import random
import re
import types
import uuid
import warnings
import zipfile
import zoneinfo

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.utils import prune

from scan.corpus import DENSE, keras_config, saved
from scan.hostile_files import keras, tarred, zipped

TEXT = {  # files whose first bytes are opcodes, or the beginning of a compressed layer, an archive or a picture
    "requirements.txt": "torch==2.0\ntransformers\n",
    "args.txt": "loss.weight: 0.5\n",
    "steps.txt": "total.steps=3\n",
    "os.md": "os.path is used here\n",
    "names.csv": "R. A. Fisher,1936\n",
    "tools.toml": "tools.x = 1\n",
    "so.txt": "so. what\n",
    "license.txt": "(c) 2020 Jane Doe\nAll rights reserved\n. x",
    "numbers.txt": "0.5 0.6\n",
    "header.csv": "x y label\n1 2 a\n",
    "formula.txt": "x^2 + 1\n",
    "functions.txt": "cos\nsin\ntan\n",
    "animals.txt": "cat\ndog\nbird\n",
    "classes.names": "car\ntruck\nbus\n",
    "vocab.txt": "in\nthe\nof\n",
    "imports.txt": "import os\nimport sys\n",
    "words.txt": "cos\nsystem\nfile\n",
    "bzip.txt": "BZh is how bzip2 begins\n",
    "zf.txt": "ZF0x is how joblib began\n",
    "gif.txt": "GIF89 was a format\n",
    "pk.txt": "PK\n",
    "n.yaml": "N.: 1\nepochs: 3\n",
    "point.txt": ".5\n",
    "tuple.txt": "(1, 2)\n",
    "list.txt": "]a\n",
    "bracket.cfg": "[section]\nx = 1\n",
    "quoted.txt": "'a' is a letter\n",
    "Vowels.txt": "Vowels: a e i o u\n",
    "Setup.txt": "S'est bien\n",
    "Loss.log": "L1\nL2\n",
    "I.txt": "I1\nI am\n",
    "F.txt": "F1\nF score\n",
    "gather.txt": "g1\n",
    "dates.csv": "t,e\n2020,1\n",
    "u.txt": "unicode\n",
    "config.yaml": "model: !Ref x\nname: !!str 5\nb: !!python/tuple [1, 2]\n",
    "values.yml": "a: !!binary aGk=\nb: !!set {x}\nc: !ENV [X, y]\n",
    "doc.md": "Never write `!!python/object/apply:os.system`: it runs.\n\n- a: [\n",
    "shout.txt": "Hello !!python/ world: {\n",
    "html.html": "<!DOCTYPE html>\n<html></html>\n",
    "a.xml": '<?xml version="1.0"?>\n<a/>\n',
    "mark.csv": "\ufeffa,b\n1,2\n",
    "labels.json": json.dumps([{"class_name": "cat", "box": [1, 2]}, {"class_name": "Lambda"}]),
    "rows.jsonl": '{"a": 1}\n{"a": 2}\n',
    "train.json": '{"a": 1}\n{"a": 2}\n',
    "pretty.json": "\n\n  " + json.dumps({"a": [1, None, 0.5]}, indent=2) + "\n",
    "lfs.md": "A pointer begins with: version https://git-lfs.github.com/spec/v1\n",
    "merges.txt": "#version: 0.2\nt h\n",
    "log.txt": "\x1b[31mred\x1b[0m\n",
    "form.txt": "page\fpage\n",
}
ENCODED = {
    "bom.json": ("utf-8-sig", '{"a": 1}'),
    "wide.csv": ("utf-16", "a,b\n1,2\n"),
    "wide.json": ("utf-16", '{"a": 1}'),
}


def objects():
    """What stands beside weights in checkpoints, by the names that its pickle imports."""
    yield "Ellipsis", (Ellipsis, NotImplemented)
    yield "Namespace", argparse.Namespace(lr=0.1, layers=[1, 2])
    yield "partial", functools.partial(int, base=2)
    yield "defaultdict", collections.defaultdict(list, a=[1])
    yield "containers", [collections.ChainMap({1: 2}), collections.UserDict(a=1), collections.Counter("ab")]
    yield "SimpleNamespace", types.SimpleNamespace(a=1)
    yield "dates", [datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), datetime.timedelta(1)]
    yield "time zone", zoneinfo.ZoneInfo("UTC")
    yield "numbers", [decimal.Decimal("1.5"), fractions.Fraction(1, 3), 1 + 2j]
    yield "identities", [uuid.UUID(int=3), ipaddress.ip_address("::1")]
    yield "path", pathlib.PurePosixPath("a/b")
    yield "pattern", re.compile("a+")
    yield "random", random.Random(0)
    yield "array", array.array("d", [1, 2])
    yield "iterators", [itertools.count(3), iter([1, 2]), operator.itemgetter(1)]
    yield "errors", [ValueError("a"), KeyError("b")]
    yield "types", [int, list, type(None)]
    yield "logger", logging.getLogger("train")
    yield "records", np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    yield "record", np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])[0]
    for name in ("Polynomial", "Chebyshev", "Legendre", "Hermite", "HermiteE", "Laguerre"):
        yield name, getattr(np.polynomial, name)([1, 2, 3])
    yield "poly1d", np.poly1d([1, 2])
    for name in ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"):
        yield name, np.random.Generator(getattr(np.random, name)(0))
    yield "RandomState", np.random.RandomState(0)
    yield "seeds", np.random.SeedSequence(3).spawn(2)
    yield "ufuncs", [np.exp, np.log1p, np.add, np.mean, np.linalg.norm]
    yield "masked array", np.ma.array([1, 2], mask=[0, 1])
    yield "strings of numpy", [np.char.array(["a"]), np.array(["a"], dtype=np.dtypes.StringDType())]
    yield "moments of numpy", np.array(["2020-01-01"], "M8[D]")


def modules():
    """Torch's own, as torch.save writes them."""
    line = nn.Linear(4, 4)
    data = torch.utils.data.TensorDataset(torch.zeros(3, 2), torch.ones(3))
    yield "DataParallel", nn.DataParallel(nn.Sequential(line))
    yield "weight_norm", nn.utils.weight_norm(nn.Linear(2, 2))
    yield "spectral_norm", nn.utils.spectral_norm(nn.Linear(2, 2))
    pruned = nn.Linear(2, 2)
    prune.l1_unstructured(pruned, "weight", 0.5)
    yield "pruned", pruned
    yield "PackedSequence", nn.utils.rnn.pack_sequence([torch.zeros(3, 2), torch.zeros(2, 2)])
    yield "TensorDataset", data
    yield "data sets", [torch.utils.data.Subset(data, [0]), torch.utils.data.ConcatDataset([data, data])]
    yield "DataLoader", torch.utils.data.DataLoader(data, batch_size=2)
    for name in ("SGD", "Adam", "AdamW", "Adamax", "Adadelta", "Adagrad", "NAdam", "RAdam", "RMSprop", "Rprop", "ASGD"):
        yield name, getattr(torch.optim, name)(line.parameters(), lr=0.1)
    yield "LBFGS", torch.optim.LBFGS(line.parameters())
    optimiser = torch.optim.SGD(line.parameters(), lr=0.1)
    yield (
        "schedules",
        [torch.optim.lr_scheduler.StepLR(optimiser, 3), torch.optim.lr_scheduler.OneCycleLR(optimiser, 1, 9)],
    )
    yield "averaged", torch.optim.swa_utils.AveragedModel(line)
    yield "containers of torch", [nn.ParameterList([nn.Parameter(torch.zeros(1))]), nn.ModuleDict({"a": line})]
    yield "activations", [nn.functional.relu, nn.functional.gelu, torch.tanh, nn.functional.cross_entropy]
    yield "initialisers", [nn.init.xavier_uniform_, nn.init.zeros_]
    yield "distribution", torch.distributions.Normal(torch.zeros(2), torch.ones(2))
    yield "results", [torch.max(torch.zeros(2, 2), 0), torch.linalg.qr(torch.eye(2))]
    yield "recurrent", [nn.LSTM(3, 4), nn.Transformer(8, 2, 1, 1, 8, batch_first=True)]
    yield "quantised tensor", torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8)
    yield (
        "kinds of tensor",
        [torch.zeros(2, dtype=torch.cfloat), torch.eye(2).to_sparse_csr(), torch.zeros(2, device="meta")],
    )
    checkpoint = {
        "args": argparse.Namespace(a=1),
        "at": pathlib.PurePosixPath("x"),
        "best": np.float64(0.5),
        "w": torch.zeros(2),
    }
    yield "checkpoint", checkpoint


def data_frames():
    """Of pandas, where it is installed."""
    try:
        import pandas as pd
    except ImportError:
        return
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [1.5, None]})
    yield "data frame", frame
    yield "series", frame.b
    yield "categories", frame.b.astype("category")
    yield "dates of pandas", [pd.date_range("2020", periods=3, tz="UTC"), pd.Timestamp("2020"), pd.NaT, pd.NA]
    yield "index of levels", frame.set_index(["a", "b"])
    yield "missing values", [frame.a.astype("Int64"), pd.Series([True, None], dtype="boolean")]
    yield "intervals", pd.cut(pd.Series([1, 2, 3]), 2)
    yield "offsets", [pd.offsets.MonthEnd(1), pd.period_range("2020", periods=2, freq="M")]


def picture(kind):
    return saved(lambda file: Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(file, kind))


def harmless():
    """(name, file, bytes)."""
    for name, text in TEXT.items():
        yield f"text {name}", name, text.encode()
    for name, (encoding, text) in ENCODED.items():
        yield f"text {name}", name, text.encode(encoding)
    for name, value in [*objects(), *data_frames()]:
        for protocol in (0, 2, 5):
            yield f"{name}, protocol {protocol}", "values.pkl", pickle.dumps(value, protocol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some are old
        made = list(modules())
    for name, value in made:
        yield f"torch {name}", "model.pt", saved(lambda file, v=value: torch.save(v, file))
        yield f"torch {name}, pickle", "model.pkl", pickle.dumps(value, 2)
    for kind in ("PNG", "JPEG", "GIF", "WEBP"):
        yield f"picture {kind}", f"a.{kind.lower()}", picture(kind)
    yield "zip of text", "a.zip", zipped({"a/b.txt": "x", "a/../a/c.txt": "y"})
    yield "zip of Python's name", "a.zip", zipped({"code/readme.txt": "x"})
    yield "empty zip", "a.zip", saved(lambda file: zipfile.ZipFile(file, "w").close())
    inner = {"type": b"2", "linkname": "b.txt"}
    yield "tar with a link inside", "a.tar", tarred(("d/b.txt", b"x", {}), ("d/a", b"", inner))
    yield "tar.gz", "a.tar.gz", tarred(("b.txt", b"x", {}), mode="w:gz")
    yield "pickle and a newline", "a.pkl", pickle.dumps([1]) + b"\n"
    yield "Keras of builtins", "model.keras", keras(keras_config(DENSE, _relu("builtins")).encode())
    yield "Keras of activations", "model.keras", keras(keras_config(_relu("keras.activations")).encode())
    yield "Keras behind a mark", "model.keras", keras(b"\xef\xbb\xbf" + keras_config(DENSE).encode())
    yield "Keras of version 2", "model.json", keras_config({"class_name": "Dense", "config": {"units": 2}}).encode()
    adding = {"class_name": "Add", "module": "keras.src.ops.numpy", "config": {"name": "add"}}
    yield "Keras with an operation", "model.keras", keras(keras_config(DENSE, adding).encode())


def _relu(module):
    return {"class_name": "function", "module": module, "config": "relu", "registered_name": "relu"}
