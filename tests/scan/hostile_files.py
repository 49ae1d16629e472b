"""Hostile files by kind: each kind is a way to get past a scanner, and each entry another member of it."""

import codecs
import io
import json
import pickle
import tarfile
import zipfile

from scan.corpus import (
    DENSE,
    JOBLIB,
    LAMBDA,
    PICKLE,
    Hostile,
    call,
    code,
    hdf5,
    inst,
    keras_config,
    npz,
    saved,
    short,
    tensor,
    tensors,
    torch_zip,
    touch,
)

END = b"PK\5\6" + bytes(18)
YAML = "import yaml; yaml.load(open(path, 'rb'), yaml.UnsafeLoader)"
RUN = "import runpy; runpy.run_path(path)"


def quoted(text):
    return b"S'" + text.replace("\\", "\\\\").replace("'", "\\x27").encode() + b"'\n"


def plain(canary):
    """Protocol 0, as a hand writes it."""
    return b"cos\nsystem\n(" + quoted(touch(canary)) + b"tR."


def counted(canary):
    """Protocol 1, without a line of text."""
    text = touch(canary).encode()
    return b"(U" + bytes([len(text)]) + text + b"cos\nsystem\no."[:0] + b"ios\nsystem\n."


def headless(canary):
    """Protocol 4 without its head."""
    return short("posix") + short("system") + b"\x93(" + quoted(touch(canary)) + b"tR."


def object_first(canary):
    return b"(cos\nsystem\n" + quoted(touch(canary)) + b"o."


def memo_first(canary):
    return b"(lp0\n0cposix\nsystem\np1\n(" + quoted(touch(canary)) + b"tp2\nRp3\n."


def after_none(canary):
    return b"N0I5\n0" + plain(canary)


def evaluated(canary):
    return b"c__builtin__\neval\n(" + quoted(code(canary).removesuffix(".close()")) + b"tR."


def zipped(members):
    def write(file):
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)

    return saved(write)


def tarred(*members, mode="w"):
    def write(file):
        with tarfile.open(fileobj=file, mode=mode) as archive:
            for name, data, changes in members:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                for key, value in changes.items():
                    setattr(info, key, value)
                archive.addfile(info, io.BytesIO(data))

    return saved(write)


def named_as(payload):
    """A tar whose first member's name is a pickle: its header is right, and its first bytes run."""
    whole = bytearray(tarred(("x" * (len(payload) + 1), b"text", {})))
    whole[: len(payload) + 1] = payload + b"\0"
    told = sum(whole[:148]) + 8 * 32 + sum(whole[156:512])
    whole[148:156] = f"{told:06o}\0 ".encode()
    return bytes(whole)


def gif(payload):
    """GIF8 is the opcode of a number of eight bytes."""
    return b"GIF89a\1\0\1" + b"0" + payload


FORMS = {
    "protocol 0": plain,
    "protocol 1, INST": counted,
    "protocol 4 without a head": headless,
    "OBJ": object_first,
    "memo": memo_first,
    "behind a number": after_none,
    "eval of Python 2": evaluated,
    "INST": lambda canary: inst(None, canary),
}
WRAPPERS = {
    "end of a zip": lambda payload: payload + END,
    "end of a zip far on": lambda payload: payload + bytes(100) + END + bytes(100),
    "zip": lambda payload: payload + zipped({"readme.txt": "hello"}),
    "torch zip": lambda payload: payload + torch_zip(pickle.dumps({})),
    "HDF5 at 512": lambda payload: payload.ljust(512, b"\0") + hdf5(keras_config(DENSE)),
    "picture": gif,
    "npz": lambda payload: payload + npz(1),
    "tensors of safetensors": lambda payload: payload + b"\n" + tensors({"a": tensor(0, 4)}, bytes(4)),
    "comment of a zip": lambda payload: payload + b"PK\5\6" + bytes(16) + b"\5\0hello",
    "JSON": lambda payload: payload + b'{"a": 1}',
    "Python": lambda payload: payload + b"\nimport math\n",
    "a pickle": lambda payload: payload + pickle.dumps([1]),
    "a second stream": lambda payload: b"I1\n." + payload,
}
NAMES = {"HDF5 at 512": "model.h5", "zip": "model.zip", "npz": "x.npz", "torch zip": "model.pt", "JSON": "config.json"}
POLYGLOTS = [
    Hostile(
        f"pickle and {wrapper}: {form}",
        NAMES.get(wrapper, "model.pkl"),
        lambda f, c, make=make, wrap=wrap: wrap(make(c)),
        PICKLE if wrapper != "a second stream" else "f = open(path, 'rb'); pickle.load(f); pickle.load(f)",
    )
    for i, (wrapper, wrap) in enumerate(WRAPPERS.items())
    for j, (form, make) in enumerate(FORMS.items())
    if (i + j) % 4 == 0  # each wrapper and each form, without all pairs
] + [
    Hostile(
        "pickle and tar",
        "model.tar",
        lambda f, c: named_as(b"cos\nsystem\n(S'touch canary'\ntR."),
        "os.chdir(os.path.dirname(path)); " + PICKLE,
    ),
    Hostile("pickle and zip, by joblib", "model.joblib", lambda f, c: plain(c) + zipped({"a": "b"}), JOBLIB),
    Hostile("import alone, and a zip", "a.zip", lambda f, c: b"cevil\nmod\n" + zipped({"a": "b"}), "", "undecided"),
    Hostile("import alone, and a zip's end", "a.pkl", lambda f, c: b"cevil\nmod\n" + END, "", "undecided"),
    Hostile(
        "import alone, in protocol 4", "a.zip", lambda f, c: short("evil") + short("x") + b"\x93" + END, "", "undecided"
    ),
    Hostile("pickle and zip, by torch", "model.pt", lambda f, c: plain(c) + zipped({"a": "b"}), ""),
    Hostile("pickle behind a newline behind a pickle", "a.pkl", lambda f, c: pickle.dumps([1]) + b"\n" + plain(c), ""),
    Hostile(
        "pickle behind blanks behind a pickle", "a.pkl", lambda f, c: pickle.dumps([1]) + b" \t\n\n" + plain(c), ""
    ),
    Hostile("pickle in the middle of words", "a.pkl", lambda f, c: pickle.dumps([1]) + b"one\ntwo\n" + plain(c), ""),
    Hostile("pickle without a head behind zeros", "a.pkl", lambda f, c: pickle.dumps(1) + bytes(99) + headless(c), ""),
]

TAG = "tag:yaml.org,2002:python/object/apply:os.system"
TAGS = {
    "shorthand": "a: !!python/object/apply:os.system [{0}]\n",
    "verbatim": f"a: !<{TAG}> [{{0}}]\n",
    "directive": "%TAG !p! tag:yaml.org,2002:python/\n---\na: !p!object/apply:os.system [{0}]\n",
    "directive for one mark": "%TAG ! tag:yaml.org,2002:python/\n---\na: !object/apply:os.system [{0}]\n",
    "directive for two marks": "%TAG !! tag:yaml.org,2002:python/object/\n---\na: !!apply:os.system [{0}]\n",
    "directive that cuts a word": "%TAG !x! tag:yaml.org,2002:py\n---\na: !x!thon/object/apply:os.system [{0}]\n",
    "escape": "a: !!pytho%6e/object/apply:os.system [{0}]\n",
    "escapes only": "a: !!%70%79%74%68%6f%6e/object/apply:os.system [{0}]\n",
    "escape in a verbatim tag": "a: !<tag:yaml.org,2002:pytho%6e/object/apply:os.system> [{0}]\n",
    "escaped colon": "a: !!python/object/apply%3Aos.system [{0}]\n",
    "new instead of apply": "a: !!python/object/new:os.system [{0}]\n",
    "flow": "[1, {{b: !!python/object/apply:os.system [{0}]}}]\n",
    "key": "? !!python/object/apply:os.system [{0}]\n: 1\n",
    "anchor before": "a: &x !!python/object/apply:os.system [{0}]\n",
    "anchor behind": "a: !!python/object/apply:os.system &x [{0}]\n",
    "next line": "a: !!python/object/apply:os.system\n  - {0}\n",
    "second document": "a: 1\n--- !!python/object/apply:os.system\n- {0}\n",
    "args": "a: !!python/object/apply:os.system\n  args: [{0}]\n",
    "posix": "a: !!python/object/apply:posix.system [{0}]\n",
    "subprocess": "a: !!python/object/apply:subprocess.check_call [[touch, {1}]]\n",
    "name and map": "a: !!python/object/new:tuple [!!python/object/new:map [!!python/name:os.system , [{0}]]]\n",
    "a mark at the beginning": "\ufeffa: !!python/object/apply:os.system [{0}]\n",
    "Windows lines": "b: 1\r\na: !!python/object/apply:os.system [{0}]\r\n",
    "first line a pickle": "N.: 1\na: !!python/object/apply:os.system [{0}]\n",
    "first line a number's pickle": "0.: 1\na: !!python/object/apply:os.system [{0}]\n",
    "first line a picture": "GIF8: 1\na: !!python/object/apply:os.system [{0}]\n",
    "first line bzip2": "BZh9: 1\na: !!python/object/apply:os.system [{0}]\n",
    "first line zlib": "x^: 1\na: !!python/object/apply:os.system [{0}]\n",
    "first line RIFF": "RIFF: 1\na: !!python/object/apply:os.system [{0}]\n",
    "first line GGUF": "GGUF: 1\na: !!python/object/apply:os.system [{0}]\n",
    "first line an alias": "ZF0x: 1\na: !!python/object/apply:os.system [{0}]\n",
    "comment first": "# a configuration\n\n# of a model\na: !!python/object/apply:os.system [{0}]\n",
}
SAFE_ENDS = {"zip": b"#PK\5\6" + b"a" * 18 + b"\n", "control": b"#\1\2\n"}
FILES = ("config.yaml", "MLmodel", "hparams", "conda.yml", "notes.txt", "model.cfg")


def yaml_text(text, canary):
    return text.format(json.dumps(touch(canary)), json.dumps(str(canary))).encode()


YAMLS = [
    Hostile(
        f"YAML, {name}",
        FILES[i % len(FILES)],
        lambda f, c, text=text: yaml_text(text, c),
        YAML if name != "second document" else "import yaml; list(yaml.load_all(open(path, 'rb'), yaml.UnsafeLoader))",
    )
    for i, (name, text) in enumerate(TAGS.items())
]
YAMLS += [
    Hostile(
        f"YAML in {encoding}",
        "config.yaml",
        lambda f, c, encoding=encoding: yaml_text(TAGS["shorthand"], c).decode().encode(encoding),
        YAML,
    )
    for encoding in ("utf-16", "utf-8-sig")
]
YAMLS += [
    Hostile(f"YAML and {name}", "config.yaml", lambda f, c, end=end: yaml_text(TAGS["shorthand"], c) + end, "")
    for name, end in SAFE_ENDS.items()
]
YAMLS += [
    Hostile("YAML of SpeechBrain", "hyperparams.yaml", lambda f, c: b"a: !apply:os.system ['true']\n", ""),
    Hostile("YAML of SpeechBrain, new", "hyperparams.yaml", lambda f, c: b"a: !new:subprocess.Popen\n  args: x\n", ""),
    Hostile(
        "YAML in a tar", "model.nemo", lambda f, c: tarred(("model_config.yaml", yaml_text(TAGS["escape"], c), {})), ""
    ),
    Hostile("YAML in a zip", "model.zip", lambda f, c: zipped({"a/MLmodel": yaml_text(TAGS["directive"], c)}), ""),
    Hostile("YAML that breaks later", "c.yaml", lambda f, c: yaml_text(TAGS["shorthand"], c) + b"b: [\n", ""),
]


def layer(kind, module="keras.layers", config=None, **more):
    return {"class_name": kind, "module": module, "config": {} if config is None else config, **more}


def function(name, module="builtins"):
    return {"class_name": "function", "module": module, "config": name, "registered_name": "function"}


def keras(raw, file="model.keras"):
    members = {"metadata.json": b"{}", "config.json": raw, "model.weights.h5": b""}
    return zipped(members) if file.endswith(".keras") else raw


def keras_kind(name, *layers, verdict="findings", file="model.keras"):
    text = keras_config(*layers).encode()
    return Hostile(f"Keras, {name}", file, lambda f, c: keras(text, file), "", verdict)


_LAMBDA = keras_config(DENSE, LAMBDA)
BEGINNINGS = {
    "mark": codecs.BOM_UTF8 + _LAMBDA.encode(),
    "65 blanks": b" " * 65 + _LAMBDA.encode(),
    "200 newlines": b"\n" * 200 + _LAMBDA.encode(),
    "tabs and returns": b"\t\r\n" * 40 + _LAMBDA.encode(),
    "mark and blanks": codecs.BOM_UTF8 + b" " * 4096 + _LAMBDA.encode(),
    "UTF-16": _LAMBDA.encode("utf-16"),
    "UTF-16 without a mark": _LAMBDA.encode("utf-16-le"),
    "UTF-16, big end first": _LAMBDA.encode("utf-16-be"),
    "UTF-32": _LAMBDA.encode("utf-32"),
    "UTF-32 without a mark": _LAMBDA.encode("utf-32-le"),
    "escapes": _LAMBDA.replace("Lambda", "\\u004cambda").encode(),
    "list around it": b"[" + _LAMBDA.encode() + b"]",
    "text behind it": _LAMBDA.encode() + b" # the end",
    "zip's end behind it": _LAMBDA.encode() + END,
    "line before it": b"{}\n" + _LAMBDA.encode(),
}
KERAS = [
    Hostile(f"Keras, {name}", "model.keras", lambda f, c, raw=raw: keras(raw), "") for name, raw in BEGINNINGS.items()
]
KERAS += [
    keras_kind("eval of builtins", function("eval")),
    keras_kind("exec of builtins", function("exec")),
    keras_kind("getattr of builtins", function("getattr")),
    keras_kind("import of builtins", layer("__import__", "builtins")),
    keras_kind("open as a class", layer("open", "builtins")),
    keras_kind("get_file", function("get_file", "keras.utils")),
    keras_kind("get_file as a class", layer("get_file", "keras.utils")),
    keras_kind("load_model", function("load_model", "keras.models")),
    keras_kind("load_model as a class", layer("load_model", "keras.models")),
    keras_kind("unsafe deserialization", function("enable_unsafe_deserialization", "keras.config")),
    keras_kind("deserialize", function("deserialize", "keras.layers")),
    keras_kind("get of activations", function("get", "keras.activations")),
    keras_kind("map of ops", function("vectorized_map", "keras.ops")),
    keras_kind("os.system", function("system", "os")),
    keras_kind("TorchModuleWrapper", layer("TorchModuleWrapper", config={"module": "x"})),
    keras_kind("TFSMLayer", layer("TFSMLayer", config={"filepath": "/tmp/x"})),
    keras_kind("JaxLayer", layer("JaxLayer")),
    keras_kind("FlaxLayer", layer("FlaxLayer")),
    keras_kind("Lambda without a module", {"class_name": "Lambda", "config": {"function": ["4wEAAAA=", None, None]}}),
    keras_kind("Lambda in a wrapper", layer("TimeDistributed", config={"layer": LAMBDA})),
    keras_kind("lambda of an older Keras", {"function_type": "lambda", "function": ["4wEAAAA=", None, None]}),
    keras_kind("lambda as an activation", layer("Dense", config={"activation": layer("__lambda__", "builtins")})),
    keras_kind("another package", layer("Net", "evil.layers")),
    keras_kind("another package behind Keras's name", layer("Net", "keras_evil.layers")),
    keras_kind("private module of Keras", layer("Popen", "keras.src.utils.io_utils")),
    keras_kind("Lambda in JSON", LAMBDA, file="model.json"),
    keras_kind(
        "vocabulary of a file", layer("StringLookup", config={"vocabulary": "/etc/passwd"}), verdict="undecided"
    ),
    keras_kind(
        "vocabulary of a URL", layer("TextVectorization", config={"vocabulary": "http://x/"}), verdict="undecided"
    ),
    keras_kind("registered class", layer("Mine", None, registered_name="evil>Mine"), verdict="undecided"),
    keras_kind("class without a module", {"class_name": "Mine", "config": {}}, verdict="undecided"),
    keras_kind("function of the program", function("my_activation"), verdict="undecided"),
    keras_kind("operation by name", layer("TFOpLambda", config={"function": "io.read_file"}), verdict="undecided"),
    Hostile("Keras h5, Lambda behind a mark", "m.h5", lambda f, c: hdf5("\ufeff" + _LAMBDA), ""),
]

LINK = {"type": tarfile.SYMTYPE}
OUT = {
    "climbs": [("../x", b"a", {})],
    "climbs high": [("../../../root/.bashrc", b"a", {})],
    "climbs behind a folder": [("a/b/../../../x", b"a", {})],
    "absolute": [("/etc/cron.d/x", b"a", {})],
    "backslashes": [("..\\..\\x", b"a", {})],
    "drive": [("C:\\Windows\\x", b"a", {})],
    "home": [("~/.ssh/authorized_keys", b"a", {})],
    "dots": [("./.././../x", b"a", {})],
    "link to a file": [("a", b"", {**LINK, "linkname": "/etc/passwd"})],
    "link that climbs": [("d/a", b"", {**LINK, "linkname": "../../x"})],
    "link to home": [("a", b"", {**LINK, "linkname": "~/x"})],
    "hard link that climbs": [("d/a", b"", {"type": tarfile.LNKTYPE, "linkname": "../x"})],
    "name over a link": [("a", b"", {**LINK, "linkname": "b/c"}), ("a/../../x", b"a", {})],
    "link over a link": [("d", b"", {**LINK, "linkname": "."}), ("e", b"", {**LINK, "linkname": "d/.."})],
    "device": [("a", b"", {"type": tarfile.CHRTYPE})],
    "block device": [("a", b"", {"type": tarfile.BLKTYPE})],
    "pipe": [("a", b"", {"type": tarfile.FIFOTYPE})],
}


def linked_zip(target):
    def write(file):
        with zipfile.ZipFile(file, "w") as archive:
            info = zipfile.ZipInfo("a")
            info.external_attr = 0o120777 << 16
            archive.writestr(info, target)

    return saved(write)


ARCHIVES = [Hostile(f"tar, {name}", "model.tar", lambda f, c, m=m: tarred(*m), "") for name, m in OUT.items()]
ARCHIVES += [
    Hostile(f"zip, {name}", "model.zip", lambda f, c, m=m: zipped({n: d for n, d, _ in m}), "")
    for name, m in OUT.items()
    if "type" not in m[0][2]
]
ARCHIVES += [
    Hostile("zip, link to a file", "model.zip", lambda f, c: linked_zip("/etc/passwd"), ""),
    Hostile("zip, link that climbs", "model.zip", lambda f, c: linked_zip("../x"), ""),
    Hostile("tar.gz, climbs", "model.tar.gz", lambda f, c: tarred(("../x", b"a", {}), mode="w:gz"), ""),
    Hostile("torch zip, climbs", "model.pt", lambda f, c: torch_zip(pickle.dumps({})) + zipped({"../x": "a"}), ""),
]

TEXTS = [
    Hostile("script behind a number", "load.py", lambda f, c: b"0.0\n" + code(c).encode(), RUN, "undecided"),
    Hostile("script behind a picture", "run.sh", lambda f, c: b"GIF8=1\n" + touch(c).encode(), "", "undecided"),
    Hostile("script with a zip's end", "load.py", lambda f, c: code(c).encode() + b"\n#" + END, "", "undecided"),
    Hostile("script by its first line", "load", lambda f, c: b"#!/bin/sh\n" + touch(c).encode(), "", "undecided"),
    Hostile("script behind a mark", "load", lambda f, c: codecs.BOM_UTF8 + b"#!/bin/sh\ntrue", "", "undecided"),
    Hostile("script in UTF-16", "load.ps1", lambda f, c: "calc".encode("utf-16"), "", "undecided"),
    Hostile("script that is a pickle's end", "load.py", lambda f, c: b"N.\n" + code(c).encode(), "", "undecided"),
    Hostile("text named as ONNX", "model.onnx", lambda f, c: b"text", "", "undecided"),
    Hostile("text named as a graph", "saved_model.pb", lambda f, c: b"text", "", "undecided"),
    Hostile("text named as Core ML", "model.mlmodel", lambda f, c: b"text", "", "undecided"),
    Hostile("text named as torch", "model.pt", lambda f, c: b"text", "", "undecided"),
    Hostile("text named as HDF5", "model.h5", lambda f, c: b"text", "", "undecided"),
    Hostile("text named as numpy", "model.npy", lambda f, c: b"text", "", "undecided"),
    Hostile("picture named as torch", "model.pth", lambda f, c: b"GIF89a" + bytes(50), "", "undecided"),
    Hostile("Caffe model", "net.caffemodel", lambda f, c: b"\n\4CaffeNet" + bytes(range(256)), "", "undecided"),
    Hostile("TensorFlow Lite", "net.tflite", lambda f, c: b"\x1c\0\0\0TFL3" + bytes(range(256)), "", "undecided"),
]
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
POINTERS = [
    Hostile(f"Git LFS pointer as {name}", name, lambda f, c: POINTER.encode(), "", verdict)
    for name, verdict in {
        **dict.fromkeys(
            ("m.pt", "m.bin", "m.onnx", "m.gguf", "m.h5", "m.keras", "m.npz", "m.pkl", "a.zip"), "undecided"
        ),
        **dict.fromkeys(("weights", "config.json", "a.csv", "a.parquet", "m.ckpt", "m.safetensors"), "undecided"),
    }.items()
]
GADGETS = [
    Hostile(f"name {module}.{name}", "model.pkl", lambda f, c, m=module, n=name, v=values: call(m, n, *v), "", verdict)
    for module, name, values, verdict in (
        ("pandas", "read_pickle", ("x",), "findings"),
        ("pandas.io.pickle", "read_pickle", ("x",), "findings"),
        ("pandas.core.computation.eval", "eval", ("1",), "findings"),
        ("pandas", "eval", ("1",), "findings"),
        ("pandas.core.frame", "DataFrame.to_pickle", ("x",), "findings"),
        ("numpy.f2py.crackfortran", "myeval", ("1",), "findings"),
        ("numpy", "load", ("x",), "findings"),
        ("numpy", "memmap", ("x",), "findings"),
        ("torch", "load", ("x",), "findings"),
        ("torch.utils.collect_env", "run", ("true",), "findings"),
        ("torch.nn.modules.module", "warnings.sys.modules", (), "findings"),
        ("sklearn.utils.parallel", "Parallel", (), "undecided"),
        ("sklearn.utils._joblib", "load", ("x",), "findings"),
        ("sklearn.base", "joblib.load", ("x",), "findings"),
        ("xgboost.core", "Booster", ({}, (), "x.json"), "findings"),
        ("lightgbm.basic", "Booster", ({}, None, "x.txt"), "findings"),
        ("functools", "partial", (), "findings"),
        ("functools", "reduce", (), "findings"),
        ("builtins", "type", ("A", (), {}), "findings"),
        ("builtins", "getattr", ("a", "b"), "findings"),
        ("operator", "attrgetter", ("a",), "findings"),
        ("_pyrepl.pager", "pipe_pager", ("a", "true"), "findings"),
        ("keras.models", "load_model", ("x",), "findings"),
        ("transformers.models.auto.modeling_auto", "AutoModel.from_pretrained", ("x",), "findings"),
        ("collections", "__builtins__.eval", ("1",), "findings"),
        ("numpy.linalg", "linalg.builtins.eval", ("1",), "findings"),
        ("my_company.models", "Net", (), "undecided"),
        ("my_company.models", "make_net", (), "undecided"),
        ("detectron2.config", "CfgNode", (), "undecided"),
        ("torch.nn.parallel.distributed", "DistributedDataParallel", (), "undecided"),
        ("tensorflow.python.keras.engine.sequential", "Sequential", (), "undecided"),
    )
]
KINDS = {
    "two formats in one file": POLYGLOTS,
    "text taken for something else": TEXTS,
    "descriptions of Keras": KERAS,
    "tags of YAML": YAMLS,
    "archives that lead outside": ARCHIVES,
    "pointers": POINTERS,
    "names": GADGETS,
}
