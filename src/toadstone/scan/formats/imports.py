"""Names in settings that a loader imports and calls, judged by what they do."""

from __future__ import annotations

import re

from toadstone.scan.formats.names import allowed, danger

_KNOWN = re.compile(
    r"(nemo|nemo_automodel|torch\.(nn|optim|utils\.data|distributions)|lightning|pytorch_lightning|lightning_fabric|"
    r"transformers|diffusers|peft|torchvision|torchaudio|torchmetrics|torchtext|timm|monai|sklearn|keras|"
    r"sentence_transformers|omegaconf|hydra\.experimental|segmentation_models_pytorch|tensorflow\.keras|ignite|megatron|"
    r"speechbrain|espnet|fairseq|sam2|detectron2|stable_baselines3|gymnasium)(\.(?!_)\w+)*"
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
    module, _, last = name.rpartition(".")
    if not module:
        module, last = "builtins", name
    known = _KNOWN.fullmatch(module) and (_CLASS.fullmatch(last) or _CLASS.fullmatch(module.rpartition(".")[2]))
    if (known and not _FILES.search(last)) or allowed(module, last):
        return "", ""
    if re.fullmatch(r"torch\.nn\.functional", module) or (module, last) in (("functools", "partial"),):
        return "", ""
    if what := danger(module, last):
        return "imports-code", what
    if module.startswith("hydra") and _FILES.search(last):
        return "imports-code", "imports whatever it is given the name of"
    if _KNOWN.fullmatch(module) and _FILES.search(last):
        return "imports-code", "loads other files"
    return "unknown-import", ""
