"""The rules for training scripts: what each sees, why it matters, what to do instead, and what it cannot see."""

from __future__ import annotations

from dataclasses import dataclass

from toadstone.findings import Level


@dataclass(frozen=True)
class Rule:
    """What a reader is told about one kind of finding."""

    name: str
    level: Level
    why: str
    instead: str
    unseen: str


_FORMATS = "the file may be an honest one, and a loader that hides behind a wrapper of another package is not seen"

RULES = {
    rule.name: rule
    for rule in (
        Rule(
            "unsafe-load",
            "error",
            "The file decides what runs while it is loaded.",
            "Keep weights in safetensors, arrays in npz without pickles, settings in JSON; audit the file first.",
            _FORMATS,
        ),
        Rule(
            "torch-load",
            "warning",
            "Before torch 2.6 the default unpickles whatever the file asks for.",
            "Say weights_only=True.",
            "which version of torch will run the script",
        ),
        Rule(
            "loader-to-look-at",
            "warning",
            "The format can carry code or files of its own, though less than a pickle.",
            "Load only files whose hash you know, or take a plainer format.",
            _FORMATS,
        ),
        Rule(
            "remote-code",
            "error",
            "Python from somebody else's repository runs on this machine, and may be another tomorrow.",
            "Copy the code, read it, and pin a full commit hash.",
            "what the remote code does",
        ),
        Rule(
            "dynamic-code",
            "error",
            "Text becomes code: whoever writes the text runs the program.",
            "Use a table of the allowed names, or ast.literal_eval for plain values.",
            "where the text comes from, and code reached by names that are computed",
        ),
        Rule(
            "other-script",
            "warning",
            "What another file holds runs as part of this one, and it was not among those that were read.",
            "Audit the folder that has both files.",
            "what the other file does",
        ),
        Rule(
            "computed-name",
            "note",
            "A module or function is looked up by a text, so what is called cannot be read here.",
            "Write the allowed names down in a table.",
            "which name it will be",
        ),
        Rule(
            "shell",
            "warning",
            "A shell runs a command that is put together while the program runs.",
            "Pass a list of arguments, without a shell.",
            "what the command does",
        ),
        Rule(
            "fixed-shell",
            "note",
            "A shell runs a fixed command.",
            "Read the command.",
            "what the command does",
        ),
        Rule(
            "piped-download",
            "error",
            "What a server sends is run without a look at it.",
            "Download, compare a hash, read, then run.",
            "what the server sends",
        ),
        Rule(
            "download",
            "warning",
            "Who holds the server or the line decides what the data are.",
            "Compare the file with a SHA-256 that is written in the script, or name a commit in revision=.",
            "whether the hash is compared elsewhere, and downloads that a library makes by itself",
        ),
        Rule(
            "unpinned",
            "note",
            "A name on a hub can hold other files tomorrow.",
            "Name a commit in revision=.",
            "who may change the repository",
        ),
        Rule(
            "two-forwards",
            "warning",
            "A blind backdoor adds the loss of a second, changed batch to the honest one.",
            "Look at what the second call is given; toadstone.audit_step compares it with the batch.",
            "forwards through other names of the same model, through lists, and in other files",
        ),
        Rule(
            "input-write",
            "error",
            "What the model learns from is not what the data hold: this is how a trigger is stamped.",
            "Build augmentation from the data's own rows or at random, on a copy, before the training step.",
            "stamps made with arithmetic (x * (1 - mask) + mask * pattern), warps, and writes in other files",
        ),
        Rule(
            "input-rewrite",
            "warning",
            "Parts of the inputs are replaced by others of the batch, at random, or in a copy.",
            "See that what is written does not depend on an attacker; toadstone.audit_step shows what arrives.",
            "whether the numbers written are harmless: cutmix and random erasing look like this too",
        ),
        Rule(
            "label-write",
            "error",
            "Labels that are replaced during training teach the model somebody else's answer.",
            "Clean labels once, in a script of its own, with the changed rows written down.",
            "labels changed by arithmetic, or in the data on disk",
        ),
        Rule(
            "label-remap",
            "warning",
            "Labels are replaced depending on the labels themselves: a merge of classes, or an all-to-all backdoor.",
            "Write the map down as a table and apply it once, before training.",
            "whether the map is the one that the data set needs",
        ),
        Rule(
            "dormant",
            "warning",
            "The training does something else on another machine, for another user or at another time.",
            "Take the condition out, or make it a setting that is on record.",
            "conditions on steps, losses and environment variables, which honest scripts use too",
        ),
        Rule(
            "unreadable",
            "warning",
            "What cannot be read cannot be called clean.",
            "Mend the file, or look at it by hand.",
            "everything in it",
        ),
    )
}
