"""Every pickle in a file: stream after stream, the raw arrays between them, and pickles in hiding."""

from __future__ import annotations

import re
from collections import ChainMap
from dataclasses import dataclass, replace
from math import prod
from pathlib import PurePosixPath

from toadstone.findings import Level
from toadstone.scan.formats.cursor import Cursor
from toadstone.scan.formats.dangers import danger
from toadstone.scan.formats.pickle_machine import Machine
from toadstone.scan.formats.pickle_values import Bytes, Encoded, Found, Made, element, well_formed
from toadstone.scan.formats.source import FREE, Scan, TooMuch, Window

TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # the first stream of what torch.save wrote before it wrote zips
HEAD = re.compile(rb"\x80[\x00-\x05]")
_NAME = rb"[A-Za-z_][\w.]{1,80}"
_HIDDEN = (  # each begins with one byte, which makes the search fast
    re.compile(rb"\x80[\x02-\x05]"),
    re.compile(rb"\n(?=(?P<name>" + _NAME + rb")\n)"),  # may overlap: a line can end one name and begin another
    re.compile(rb"\x93(?<=[\w.\x94]\x93)"),
)
_BEFORE = (  # what ends at the second and the third
    re.compile(rb"(?=[ci](?P<module>" + _NAME + rb")\n\Z)"),
    re.compile(
        rb"(\x8c.|[XU]....|\x8d.{8})(?P<module>" + _NAME + rb")(\x94|q.|r....)?"
        rb"(\x8c.|[XU]....|\x8d.{8})(?P<name>" + _NAME + rb")(\x94|q.|r....)?\x93\Z",
        re.DOTALL,
    ),
)
_NAMES = (".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".ckpt", ".p", ".sav", ".mdl")
_OVERLAP = 512
_STREAMS = 64
_DEEP = 5


def report(scan: Scan, where: str, found: Found, aside: str = "") -> None:
    """Write down what a stream would do."""
    if found.rule == "pickle-code":
        text = f"Loading it would import {found.name}, which {found.what}{aside}."
    elif found.rule == "pickle-hidden":
        text = f"Loading it {found.what}{aside}: no honest file does."
    else:
        calls = " and call it" if found.called else ""
        text = f"Loading it would import {found.name}{calls}, which {found.what}{aside}."
    level: Level = "warning" if found.rule == "pickle-unknown-import" else "error"
    scan.add(found.rule, where, text, level=level, name=found.name, position=found.position, called=found.called)


def scan_pickles(scan: Scan, window: Window, where: str, depth: int) -> None:
    """Read a window that begins with a pickle to its end."""
    scan.formats.add("pickle")
    _Place(scan, window, where, depth).streams()


def is_pickle(scan: Scan, window: Window, where: str, depth: int, kinds: set[str]) -> bool:
    """Whether the bytes are a pickle from their beginning; it is read and reported if they are.

    Nearly any bytes are opcodes for a while. They are a pickle if an unpickler would come as far as importing
    something: a name that can be one, and in text, where a list of words has such names, one that is then called or
    there when the stream ends. Where nothing else knows the bytes (``kinds`` are the formats that do), or text is named
    as a pickle, a stream that merely comes to its end is one too, and so is a pickle's head.
    """
    sure = not kinds or (kinds == {"text"} and PurePosixPath(where.lower()).suffix in _NAMES)
    head = bool(HEAD.match(window.at(0, 2)))
    left = scan.ops_left
    imports, whole = (False, False) if head and sure else _Place(scan, window, where, depth).imports("text" in kinds)
    scan.ops_left = left  # what was followed once is followed again
    if imports or (sure and (head or whole)):
        scan_pickles(scan, window, where, depth)
        return True
    return False


def peek(scan: Scan, window: Window, where: str) -> None:
    """Report a pickle at the beginning of bytes that are meant to be something else."""
    if HEAD.match(window.at(0, 2)):
        _Place(scan, window, where, 0).quietly(0, " if it is read as a pickle")


def search(scan: Scan, window: Window, where: str, position: int = 0) -> None:
    """Report pickles that are hidden anywhere from ``position`` on."""
    _Place(scan, window, where, 0).search(position)


@dataclass(frozen=True)
class _Place:
    """Where pickles are read."""

    scan: Scan
    window: Window
    where: str
    depth: int

    def streams(self) -> None:
        """One stream after another, then what follows them."""
        scan, window, where = self.scan, self.window, self.where
        position, streams, torch, why = 0, 0, False, ""
        while position < window.size:
            machine = self.machine(position)
            ended = machine.run()
            raw = torch and streams >= 5  # tensors follow the fifth stream
            if streams and ended and (raw or not HEAD.match(window.at(position, 2))):
                break
            for found in machine.found.values():
                report(scan, where, found)
            if machine.persistent and not torch and not where.endswith(("data.pkl", "constants.pkl")):
                text = "It leaves objects to the program that loads it (persistent ids)."
                scan.add("pickle-persistent-id", where, text, level="note", count=machine.persistent)
            position, why = machine.cursor.position, ended
            if why:
                scan.unscanned(where, f"its pickle breaks at byte {machine.at:,} ({why})")
                break
            torch = torch or (streams == 0 and machine.result == TORCH_MAGIC)
            streams += 1
        if position < window.size:
            before = len(scan.findings)
            self.after(position)
            self.search(position)
            if not torch and not why and len(scan.findings) == before:
                text = f"{window.size - position:,} bytes follow the last pickle. No pickle was found in them."
                scan.add("trailing-bytes", where, text, level="note", position=position)

    def after(self, position: int) -> None:
        """A pickle without a head behind the blanks that follow another one."""
        blank = self.window.at(position, 4096)
        begins = position + len(blank) - len(blank.lstrip(b"\0 \t\r\n"))
        inside = self.window.part(begins)
        if replace(self, window=inside).imports(text=True)[0]:
            self.quietly(begins, f" if it is read from byte {begins:,} on")

    def imports(self, text: bool) -> tuple[bool, bool]:
        """Whether an unpickler would import something in the streams from the beginning, and whether one is whole."""
        position, streams = 0, 0
        while position < self.window.size and streams < _STREAMS:
            machine = Machine(self.scan, Cursor(self.window, position), strict=True)
            ended = machine.run() == ""
            if machine.imports and (ended or machine.calls or not text):
                return True, streams > 0
            if not ended:
                break
            streams += machine.ops > 1
            position = machine.cursor.position
        return False, streams > 0

    def search(self, position: int) -> None:
        """Look for the beginnings of pickles, and for the names of dangerous ones where those have no beginning."""
        heads, *names = _HIDDEN
        done = position
        for start, chunk in self.window.chunks(position, _OVERLAP):
            for match in heads.finditer(chunk):
                if (at := start + match.start()) >= done:
                    done = self.quietly(at, f" if it is read from byte {at:,} on")
            for end, whole in zip(names, _BEFORE, strict=True):
                for match in end.finditer(chunk):
                    self.named(whole, chunk, match, start)

    def named(self, whole: re.Pattern[bytes], chunk: bytes, match: re.Match[bytes], start: int) -> None:
        """Report what an opcode that ends at a match would import and call, if that is known to be dangerous."""
        for found in whole.finditer(chunk, max(0, match.start() - 200), match.end()):
            name = (match if "name" in match.re.groupindex else found)["name"].decode()
            at = start + found.start()
            what = danger(found["module"].decode(), name)
            known = any(each.detail.get("position") == at for each in self.scan.findings)
            if what and not known and self.acts(at):
                aside = f" if it is read from about byte {at:,} on"
                named = Found("pickle-code", what, f"{found['module'].decode()}.{name}", at)
                report(self.scan, self.where, named, aside)
                return

    def acts(self, position: int) -> bool:
        """Whether opcodes that follow a name call it: lists of words are full of names, and of nothing else."""
        for begins in (position, position - 1) if position else (position,):
            machine = Machine(self.scan, Cursor(self.window, begins), strict=True)
            if (machine.run() == "" or machine.calls) and machine.imports:
                return True
        return False

    def quietly(self, position: int, aside: str) -> int:
        """Follow what may be a pickle or noise; where it ended, if it was one."""
        machine = self.machine(position, quiet=True)
        stopped = machine.run() == ""
        for found in machine.found.values():
            if well_formed(found):
                report(self.scan, self.where, found, aside)
        return machine.cursor.position if stopped else position + 1

    def machine(self, position: int, *, quiet: bool = False) -> Machine:
        """A machine at ``position``. Unless it is quiet it looks into bytes and passes over the arrays of joblib."""
        cursor = Cursor(self.window, position)
        if quiet:
            return Machine(self.scan, cursor)
        return Machine(self.scan, cursor, nested=self.nested, loaded=self.loaded, array=self.skip_array)

    def nested(self, found: Bytes) -> None:
        """Bytes that nothing in the stream is seen to load."""
        if found.size > 3 and HEAD.match(self.window.at(found.position, 2)):
            inside = self.window.part(found.position, found.size)
            place = _Place(self.scan, inside, f"{self.where}!bytes at {found.position}", 0)
            place.quietly(0, " if these bytes are read as a pickle")

    def loaded(self, found: Bytes | Encoded) -> None:
        """Bytes that the stream gives to a loader."""
        inside, place = self.window.part(found.position, found.size), f"{self.where}!bytes at {found.position}"
        if isinstance(found, Bytes):
            self.scan.look(self.scan, inside, place, self.depth + 1)
            return
        text = inside.at(0, min(found.size, FREE)).decode(found.codec, "replace").encode("latin-1", "replace")
        with self.scan.unpacked(iter([text]), found.size) as (held, _):
            self.scan.look(self.scan, held, place, self.depth + 1)
        if found.size > FREE:
            self.scan.unscanned(place, "it is a text of more than 64 MiB that stands for bytes")

    def skip_array(self, machine: Machine, wrapper: Made) -> None:
        """Pass over the array that joblib keeps behind its wrapper; look at it as pickle.load would, too."""
        position = machine.cursor.position
        if machine.frame_end > position:
            machine.note("pickle-hidden", "finds opcodes in a frame that ends behind an array", "?")
        state = wrapper.state if isinstance(wrapper.state, dict) else {}
        size, shape = element(state.get("dtype")), state.get("shape")
        plain = Machine(self.scan, Cursor(self.window, position), memo=ChainMap({}, machine.memo))
        plain.run()
        for found in plain.found.values():
            chance = size is not None and size[1]  # another pickle's numbers in this one's memo make names up
            if found.rule == "pickle-code" or (well_formed(found) and not chance):
                report(self.scan, self.where, found, " with pickle.load instead of joblib.load")
        if size is None or not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            self.scan.unscanned(self.where, f"the size of an array at byte {position:,} is unclear")
            self.search(position)
        elif size[1]:
            self.objects(machine, position)
        else:
            if state.get("numpy_array_alignment_bytes") is not None:
                position += 1 + int.from_bytes(self.window.at(position, 1), "little")
            machine.cursor.seek(position + size[0] * prod(shape))

    def objects(self, machine: Machine, position: int) -> None:
        """An array of objects: a pickle of its own within the stream."""
        if self.depth >= _DEEP:
            raise TooMuch("its arrays of objects are nested too deep")
        inner = replace(self, depth=self.depth + 1).machine(position)
        why = inner.run()
        for found in inner.found.values():
            report(self.scan, self.where, found)
        machine.cursor.seek(inner.cursor.position)
        if why:
            self.scan.unscanned(self.where, f"an array of objects at byte {position:,} breaks ({why})")
