"""Names in settings that a loader imports and calls, judged by what they do."""

from __future__ import annotations

import re

from toadstone.scan.formats.dangers import danger
from toadstone.scan.formats.names import allowed

_KNOWN = re.compile(
    r"(nemo|nemo_automodel|torch\.(nn|optim|utils\.data|distributions)|lightning|pytorch_lightning|lightning_fabric|"
    r"transformers|diffusers|peft|torchvision|torchaudio|torchmetrics|torchtext|timm|monai|sklearn|keras|"
    r"sentence_transformers|omegaconf|hydra|segmentation_models_pytorch|tensorflow\.keras|ignite|megatron|"
    r"speechbrain|espnet|fairseq|sam2|detectron2|stable_baselines3|gymnasium)(\.(?!_)\w+)*"
)
_BEHIND = re.compile(  # a module that another one imported, and something of it
    r".+\.((os|posix|nt|subprocess|sys|builtins|__builtins__|shutil|importlib|runpy|ctypes|pty|socket|pickle|marshal|"
    r"platform|code|codeop|webbrowser|multiprocessing|urllib|requests)\.\w+(\.\w+)*)"
)
_CLASS = re.compile(r"[A-Z]\w*")
_FILES = re.compile(
    r"(load|from_pretrained|restore|read|open|import|hub|jit|save|exec|eval|call|get_method|get_class|locate)"
)


def judge(name: str) -> tuple[str, str]:
    """(rule, what it does) of a dotted name that a loader imports and calls: ("", "") where it is a class of a known
    library, ("unknown-import", "") where nothing is known of it.

    >>> judge("torch.nn.Linear"), judge("os.system")[0], judge("my_project.Net")
    (('', ''), 'imports-code', ('unknown-import', ''))
    """
    if (behind := _BEHIND.fullmatch(name)) and (what := danger(*behind[1].rsplit(".", 1))):
        return "imports-code", what
    module, _, last = name.rpartition(".")
    module = module or "builtins"
    known = bool(_KNOWN.fullmatch(module))
    loads = bool(_FILES.search(last))
    kind = known and not loads and (_CLASS.fullmatch(last) or _CLASS.fullmatch(module.rpartition(".")[2]))
    if kind or module == "torch.nn.functional" or name == "functools.partial" or allowed(module, last):
        return "", ""
    what = danger(module, last) or ("loads what it is given the name of" if known and loads else "")
    return ("imports-code" if what else "unknown-import"), what
