"""Rules on single calls: loads that run code, remote code, text that becomes code, shells and downloads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from toadstone.scan.rules.names import SHELL, Names

Hit = tuple[str, int, str]  # rule, line, sentence

_UNSAFE = frozenset(
    {"pickle.load", "pickle.loads", "pickle.Unpickler", "dill.load", "dill.loads", "dill.Unpickler", "joblib.load"}
    | {"cloudpickle.load", "cloudpickle.loads", "shelve.open", "marshal.load", "marshal.loads", "pandas.read_pickle"}
    | {"jsonpickle.decode", "yaml.unsafe_load", "yaml.unsafe_load_all", "torch.package.PackageImporter"}
    | {"mlflow.pyfunc.load_model", "mlflow.sklearn.load_model"}
)
_REBUILDS = "unpickles or rebuilds whatever the file asks for"
_LOOK = {
    "torch.jit.load": "runs the TorchScript program in the file",
    "keras.config.enable_unsafe_deserialization": "lets every later load_model run Lambda layers",
    "yaml.full_load": "builds objects that the file names",
}
_DOWNLOADS = frozenset(
    {"urllib.request.urlopen", "urllib.request.urlretrieve", "urllib.urlretrieve", "urllib2.urlopen", "wget.download"}
    | {"requests.get", "requests.post", "requests.request", "httpx.get", "httpx.stream", "gdown.download"}
    | {"requests.Session.get", "huggingface_hub.hf_hub_download", "huggingface_hub.snapshot_download"}
)
_HASHED = {  # downloads that can check a hash: the argument that makes them
    "torch.hub.load_state_dict_from_url": "check_hash",
    "torch.utils.model_zoo.load_url": "check_hash",
    "torch.hub.download_url_to_file": "hash_prefix",
    "keras.utils.get_file": "file_hash",
    "tensorflow.keras.utils.get_file": "file_hash",
    "torchvision.datasets.utils.download_url": "md5",
    "torchvision.datasets.utils.download_and_extract_archive": "md5",
    "pooch.retrieve": "known_hash",
}
_SHELLS = frozenset(
    {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "commands.getoutput"}
    | {f"{SHELL}.{name}" for name in ("system", "system_raw", "system_piped", "getoutput")}
    | {f"IPython.utils.process.{name}" for name in ("system", "getoutput", "getoutputerror")}
)
_RUNS = frozenset(f"subprocess.{name}" for name in ("run", "call", "Popen", "check_call", "check_output"))
_FETCH = re.compile(r"\b(curl|wget)\b|\bgit\s+clone\b|\bInvoke-WebRequest\b")
_INTERPRETER = r"(sudo\s+(-\S+\s+)*)?((/usr)?/bin/)?(env\s+)?((ba|z|da|k|fi)?sh|python[\d.]*|perl|ruby|node|php)\b"
_PIPED = re.compile(
    rf"\b(curl|wget)\b.*\|\s*{_INTERPRETER}|\b((ba|z|da|k)?sh|eval|source|python[\d.]*)\b.*(\$\(|<\(|`)\s*(curl|wget)\b"
)
_FED = re.compile(rf"\|\s*{_INTERPRETER}(\s+-)?\s*($|[;&|)])")
_INSTALL = re.compile(r"\b(pip[\d.]*|uv|conda|mamba|micromamba|easy_install)\b(.*?\b(install|add)\b)?(?P<what>.*)")
_KNOWN_INDEX = re.compile(r"https://(pypi\.org|download\.pytorch\.org|pypi\.nvidia\.com)(/|\s|$)")
_COMPUTED = re.compile(r"\s*(\{(?!sys\.executable\})|\$\w)")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def call_hits(nodes: list[ast.AST], names: Names) -> Iterator[Hit]:
    """What the calls in ``nodes`` break."""
    for node in nodes:
        if isinstance(node, ast.Call):
            yield from _call(node, names)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if _text(key) == "trust_remote_code" and _true(value) is True:
                    yield "remote-code", node.lineno, "trust_remote_code is set to true."
        elif isinstance(node, ast.If) and _elsewhere(node.test, names):
            yield "dormant", node.lineno, f"What follows depends on {_elsewhere(node.test, names)}."


def shell_hits(lines: list[tuple[int, str]]) -> Iterator[Hit]:
    """What the shell lines of a notebook break."""
    for line, text in lines:
        found = _shell_text(text) or _computed(text)
        if found:
            yield found[0], line, found[1]


def _call(node: ast.Call, names: Names) -> Iterator[Hit]:
    name, given = _partial(node, names)
    line = node.lineno
    for argument in [*node.args, *given.values()]:  # map(pickle.loads, rows)
        passed = names.of(argument) if isinstance(argument, ast.Name | ast.Attribute) else None
        if passed in _UNSAFE and name not in _UNSAFE:
            yield "unsafe-load", line, f"{passed} is handed on; it {_REBUILDS}."
    trusts = _true(given["trust_remote_code"]) if "trust_remote_code" in given else False
    if trusts is not False:
        how = "is true" if trusts else "is decided while the script runs"
        yield "remote-code" if trusts else "loader-to-look-at", line, f"trust_remote_code {how}."
    for rule in (_loads, _code, _shells, _fetches):
        for kind, text in rule(name, node, given, names):
            yield kind, line, text


def _partial(node: ast.Call, names: Names) -> tuple[str, dict[str, ast.expr]]:
    """The function that is called in the end, and its keywords; "**" stands for those that cannot be read."""
    name = names.of(node.func) or ""
    given: dict[str, ast.expr] = {}
    for keyword in node.keywords:
        if keyword.arg:
            given[keyword.arg] = keyword.value
        elif isinstance(keyword.value, ast.Dict) and all(_text(k) for k in keyword.value.keys):
            given |= {_text(k): v for k, v in zip(keyword.value.keys, keyword.value.values, strict=True)}
        else:
            given["**"] = keyword.value
    if name == "functools.partial" and node.args:
        name = names.of(node.args[0]) or ""
    return name, given


def _loads(name: str, node: ast.Call, given: dict[str, ast.expr], names: Names) -> Iterator[tuple[str, str]]:
    last = name.rsplit(".", 1)[-1]
    if name in _UNSAFE:
        yield "unsafe-load", f"{name} {_REBUILDS}."
    elif name in _LOOK:
        yield "loader-to-look-at", f"{name} {_LOOK[name]}."
    elif name in ("torch.load", "torch.serialization.load"):
        safe = _true(given["weights_only"]) if "weights_only" in given else None
        if safe is False:
            yield "unsafe-load", "torch.load with weights_only=False unpickles whatever the file asks for."
        elif safe is None:
            yield "torch-load", "torch.load is called without weights_only=True."
    elif name in ("numpy.load", "numpy.lib.npyio.load"):
        allows = given.get("allow_pickle", node.args[2] if len(node.args) > 2 else None)
        if allows is not None and _true(allows) is not False:
            yield "unsafe-load", "numpy.load with allow_pickle unpickles whatever the file asks for."
    else:
        yield from _builders(name, last, node, given, names)


def _builders(
    name: str, last: str, node: ast.Call, given: dict[str, ast.expr], names: Names
) -> Iterator[tuple[str, str]]:
    """Loads of formats that name the objects to build."""
    if name in ("yaml.load", "yaml.load_all"):
        loader = given.get("Loader", node.args[1] if len(node.args) > 1 else None)
        kind = (names.of(loader) or "") if loader is not None else ""
        if kind.endswith("FullLoader"):
            yield "loader-to-look-at", "yaml.load with FullLoader builds objects that the file names."
        elif not kind.endswith(("SafeLoader", "BaseLoader")):
            yield "unsafe-load", "yaml.load without SafeLoader builds and calls whatever the file names."
    elif last in ("load_model", "from_config", "model_from_json") and ("keras" in name or "safe_mode" in given):
        if "safe_mode" in given and _true(given["safe_mode"]) is not True:
            yield "unsafe-load", f"{last} with safe_mode=False runs the Lambda layers in the file."
        elif "custom_objects" in given:
            yield "loader-to-look-at", f"{last} calls the custom_objects that the file names."
    elif name == "torch.hub.load" and _text(given.get("source")) != "local":
        repo = _text(node.args[0] if node.args else given.get("repo_or_dir"))
        pinned = bool(repo and _COMMIT.fullmatch(repo.rpartition(":")[2]))
        kept = "of one commit" if pinned else "at no fixed commit"
        yield (
            "loader-to-look-at" if pinned else "remote-code",
            f"torch.hub.load runs code of a repository {kept}.",
        )


def _code(name: str, node: ast.Call, given: dict[str, ast.expr], names: Names) -> Iterator[tuple[str, str]]:
    if name in ("eval", "exec", "compile") and node.args and not isinstance(node.args[0], ast.Constant):
        if name != "compile":
            yield "dynamic-code", f"{name} runs a text that is not written in the script."
        elif not any(isinstance(inner, ast.Call) and names.of(inner.func) == "ast.parse" for inner in node.args):
            yield "dynamic-code", "compile makes code of a text that is not written in the script."
    elif name in ("getattr", "importlib.import_module", "__import__"):
        computed = node.args[1:2] if name == "getattr" else node.args[:1]
        risky = name != "getattr" or (node.args and names.of(node.args[0]) in ("os", "pickle", "subprocess", "dill"))
        if risky and computed and not isinstance(computed[0], ast.Constant) and not _fixed(computed[0]):
            yield "computed-name", f"{name} takes a name that is computed while the script runs."


def _shells(name: str, node: ast.Call, given: dict[str, ast.expr], names: Names) -> Iterator[tuple[str, str]]:
    shelled = name in _SHELLS or (name in _RUNS and "shell" in given and _true(given["shell"]) is not False)
    if not shelled and name not in _RUNS:
        return
    command = node.args[0] if node.args else given.get("args", given.get("cmd"))
    text = _text(command)
    cell = name.startswith(SHELL)
    found = _shell_text(text or _pieces(command)) or (_computed(text) if cell else None)
    if found:
        yield found
    elif shelled and not text:
        yield "shell", f"{name} hands a shell a command that is put together while the script runs."
    elif shelled and not cell:
        yield "fixed-shell", f"{name} hands a shell a fixed command."


def _fetches(name: str, node: ast.Call, given: dict[str, ast.expr], names: Names) -> Iterator[tuple[str, str]]:
    last = name.rsplit(".", 1)[-1] or (node.func.attr if isinstance(node.func, ast.Attribute) else "")
    pinned = "revision" in given and not (isinstance(given["revision"], ast.Constant) and not given["revision"].value)
    if name in _DOWNLOADS:
        if not (name.startswith("huggingface_hub") and pinned):
            yield "download", f"{name} fetches a file, and nothing here says which content it must have."
    elif name in _HASHED:
        if _HASHED[name] not in given or _true(given[_HASHED[name]]) is False:
            yield "download", f"{name} fetches a file without {_HASHED[name]}."
    elif last == "load_dataset" and (name.startswith("datasets.") or not name):
        yield from _dataset(node, given, pinned)
    elif last == "from_pretrained" and not pinned and "." in ast.unparse(node.func):
        source = _text(node.args[0]) if node.args else None
        if source is not None and not source.startswith((".", "/", "~")):
            yield "unpinned", f"from_pretrained({source!r}) takes what the hub holds that day."
    elif last.startswith("read_") and name.startswith("pandas.") and _remote(node):
        yield "download", f"{name} reads from a server, and nothing here says which content it must have."


def _dataset(node: ast.Call, given: dict[str, ast.expr], pinned: bool) -> Iterator[tuple[str, str]]:
    source = _text(node.args[0] if node.args else given.get("path"))
    if source and source.endswith(".py"):
        yield "loader-to-look-at", f"load_dataset runs the script {source}."
    elif _remote(node):
        yield "download", "load_dataset reads from a server, and nothing here says which content it must have."
    elif source and "data_files" not in given and not pinned and not source.startswith((".", "/", "~")):
        yield "unpinned", f"load_dataset({source!r}) takes what the hub holds that day."


def _shell_text(text: str) -> tuple[str, str] | None:
    if _PIPED.search(text):
        return "piped-download", "A shell runs what it downloads."
    install = _INSTALL.search(text)
    found = _installed(install["what"]) if install else None
    if found:
        return found
    if _FETCH.search(text):
        return "download", "A command fetches a file, and nothing here says which content it must have."
    if _FED.search(text):
        return "shell", "A shell runs what another command writes."
    return None


def _installed(what: str) -> tuple[str, str] | None:
    """What is installed from elsewhere than the package index."""
    for source in re.findall(r"(?:git|hg|svn|bzr)\+\S+", what):
        pinned = bool(_COMMIT.search(source.rpartition("@")[2]))
        kept = "of one commit" if pinned else "at no fixed commit"
        return "loader-to-look-at" if pinned else "remote-code", f"A package is installed from a repository {kept}."
    index = re.search(r"(?:--(?:extra-)?index-url|--find-links|--channel|-i|-f|-c)[=\s]+[\"']?(https?://\S*)", what)
    if index and not _KNOWN_INDEX.match(index[1]):
        return "download", "Packages are taken from another index, which may hold others of the same names."
    if re.search(r"--trusted-host", what):
        return "download", "Packages are taken from a server whose name is not proved."
    if re.search(r"https?://", _KNOWN_INDEX.sub("", what)) and not index and "#sha256=" not in what:
        return "remote-code", "A package is installed from a server, and nothing here says which content it must have."
    return None


def _computed(text: str) -> tuple[str, str] | None:
    """A notebook's command whose first word stands in a variable."""
    return (
        ("shell", "A shell runs a command whose name is put together in the notebook.")
        if _COMPUTED.match(text)
        else None
    )


def _elsewhere(test: ast.expr, names: Names) -> str | None:
    """The machine, the user or the clock, where a condition compares it with something written in the script."""
    asked = {
        "socket.gethostname": "the machine's name",
        "platform.node": "the machine's name",
        "os.uname": "the machine's name",
        "getpass.getuser": "the user",
        "os.getlogin": "the user",
        "datetime.datetime.now": "the date",
        "datetime.date.today": "the date",
        "datetime.datetime.today": "the date",
        "datetime.datetime.utcnow": "the date",
    }
    fixed = any(isinstance(node, ast.Constant) for node in ast.walk(test))
    told = [
        asked[name] for node in ast.walk(test) if isinstance(node, ast.Call) and (name := names.of(node.func)) in asked
    ]
    return told[0] if told and fixed else None


def _remote(node: ast.Call) -> bool:
    return any(
        isinstance(inner, ast.Constant)
        and isinstance(inner.value, str)
        and inner.value.startswith(("http://", "https://"))
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]
        for inner in ast.walk(argument)
    )


def _fixed(node: ast.expr) -> bool:
    """Whether a text is a literal but for the package's own name (f"{__name__}.x")."""
    return all(
        isinstance(n, ast.Constant) or (isinstance(n, ast.Name) and n.id in ("__name__", "__package__"))
        for n in ast.walk(node)
        if isinstance(n, ast.expr) and not isinstance(n, ast.JoinedStr | ast.FormattedValue | ast.BinOp)
    )


def _pieces(node: ast.expr | None) -> str:
    """The literal pieces of a text that is put together."""
    if node is None:
        return ""
    return " ".join(n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))


def _text(node: ast.expr | None) -> str:
    """A literal text, "" for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _true(node: ast.expr) -> bool | None:
    """The truth of a literal; None for anything else."""
    return bool(node.value) if isinstance(node, ast.Constant) else None
