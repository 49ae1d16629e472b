"""Folders of pictures, and the traffic signs."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from hostile.containers import Files, png, saved

_PICTURES = ("png", "jpeg", "gif", "bmp", "webp", "tiff", "ppm")


def images_seeds() -> Files:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    made: Files = {}
    for i, kind in enumerate(_PICTURES):
        for k in range(2):
            picture = Image.fromarray(rng.integers(0, 256, (16, 12, 3), dtype=np.uint8))
            options = {"compression": ("tiff_lzw", "tiff_deflate", "jpeg")[k]} if kind == "tiff" else {}
            picture = picture.convert("L") if kind == "gif" else picture
            made[f"{kind}/{'ab'[k]}/{i}.{kind}"] = saved(picture.save, kind, **options)
    gray = Image.fromarray(rng.integers(0, 256, (16, 12), dtype=np.uint8))
    made["gray/a/1.png"] = saved(gray.save, "png")
    made["gray/a/2.tiff"] = saved(gray.save, "tiff")
    made["gray/b/3.gif"] = saved(gray.save, "gif")
    return {**made, **_odd_pictures(rng)}


def _odd_pictures(rng: Any) -> Files:
    """Pictures of other depths, colours and lengths, and those of a camera and of a broken transfer."""
    import numpy as np
    from PIL import Image

    rgb = Image.fromarray(rng.integers(0, 256, (16, 12, 3), dtype=np.uint8))
    deep = Image.fromarray(rng.integers(0, 65_536, (16, 12), dtype=np.uint16))
    camera = Image.Exif()
    camera[274], camera[271] = 6, "maker"  # turned by a quarter
    frames = [Image.fromarray(rng.integers(0, 256, (16, 12), dtype=np.uint8)) for _ in range(3)]
    kinds = {
        "sixteen": ("png", saved(deep.save, "png")),
        "sixteen-tiff": ("tiff", saved(deep.save, "tiff")),
        "float": (
            "tiff",
            saved(Image.fromarray(np.linspace(0, 1, 192, dtype=np.float32).reshape(16, 12)).save, "tiff"),
        ),
        "palette": ("png", saved(rgb.quantize(9).save, "png")),
        "see-through": ("png", saved(rgb.quantize(9).save, "png", transparency=0)),
        "alpha": ("png", saved(rgb.convert("RGBA").save, "png")),
        "alpha-gray": ("png", saved(rgb.convert("LA").save, "png")),
        "bilevel": ("png", saved(rgb.convert("1").save, "png")),
        "cmyk": ("jpeg", saved(rgb.convert("CMYK").save, "jpeg")),
        "cmyk-tiff": ("tiff", saved(rgb.convert("CMYK").save, "tiff")),
        "lab": ("tiff", saved(Image.new("LAB", (12, 16)).save, "tiff")),
        "exif": ("jpeg", saved(rgb.save, "jpeg", exif=camera)),
        "exif-png": ("png", saved(rgb.save, "png", exif=camera)),
        "progressive": ("jpeg", saved(rgb.save, "jpeg", progressive=True)),
        "animated": ("gif", saved(frames[0].save, "gif", save_all=True, append_images=frames[1:], duration=40)),
        "animated-png": ("png", saved(rgb.save, "png", save_all=True, append_images=[rgb.rotate(180)])),
        "animated-webp": ("webp", saved(rgb.save, "webp", save_all=True, append_images=[rgb.rotate(180)])),
        "pages": ("tiff", saved(rgb.save, "tiff", save_all=True, append_images=[rgb.rotate(180)])),
        "truncated": ("jpeg", saved(rgb.save, "jpeg")[:-40]),
    }
    return {f"{kind}/{k}/1.{suffix}": body for kind, (suffix, body) in kinds.items() for k in "ab"}


def images_special() -> dict[str, Files]:
    from PIL import Image

    def tiff(count: int, offset: int, width: int = 4) -> bytes:
        entries = [(256, 4, 1, width), (257, 4, 1, width), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
                   (273, 4, count, offset), (278, 4, 1, width), (279, 4, count, 16)]  # fmt: skip
        body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
        return b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(entries)) + body + struct.pack("<I", 8) + bytes(64)

    flat = Image.new("RGB", (9400, 9400))
    sixteen = zlib.compress(bytes((4600 * 3 + 1) * 4600), 9)
    made = {
        "65535 square": png(65535, 65535),
        "2**31 square": png(2**31 - 1, 2**31 - 1),
        "beyond 2**31": png(2**32 - 1, 2**32 - 1),
        "none": png(0, 0),
        "120 million pixels": png(12_000, 10_000, zlib.compress(bytes(1 << 16))),
        "flat png": png(4600, 4600, sixteen),
        "large flat png": saved(flat.save, "png"),
        "large flat gif": saved(Image.new("L", (9400, 9400)).save, "gif"),
        "large flat jpeg": saved(flat.save, "jpeg"),
        "large flat webp": saved(flat.save, "webp"),
        "large flat tiff": saved(flat.save, "tiff", compression="tiff_deflate"),
        "tiff counts": tiff(2**31, 8),
        "tiff offsets": tiff(1, 2**32 - 1),
        "tiff wide": tiff(1, 8, 2**31),
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n(%pipe%id) (r) file\n",
        "text bomb": png(4, 4)[:33] + b"".join(
            struct.pack(">I", len(t)) + b"zTXt" + t + struct.pack(">I", zlib.crc32(b"zTXt" + t))
            for t in [b"k\0\0" + zlib.compress(bytes(80 << 20))]) + png(4, 4)[33:],
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "bmp": b"BM" + struct.pack("<IHHIIiiHHII", 54, 0, 0, 54, 40, 2**31 - 1, -(2**31), 1, 24, 0, 0) + bytes(64),
        "ppm": b"P6\n99999999 99999999\n255\n",
        "ppm long number": b"P6\n" + b"9" * 100_000 + b" 4\n255\n",
        "gif": b"GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x08",
    }  # fmt: skip
    return {name: {"case/a/1.png": body} for name, body in made.items()}


def gtsrb_seeds() -> Files:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    picture = saved(Image.fromarray(rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)).save, "ppm")
    head = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n"
    made: Files = {}
    for k in range(2):
        folder = f"GTSRB/Final_Training/Images/0000{k}"
        names = [f"0000{i}_00000.ppm" for i in range(2)]
        made[f"{folder}/GT-0000{k}.csv"] = (head + "".join(f"{n};30;30;5;5;25;25;{k}\n" for n in names)).encode()
        made.update({f"{folder}/{name}": picture for name in names})
    made["GTSRB/Final_Test/Images/GT-final_test.csv"] = (head + "00000.ppm;30;30;5;5;25;25;1\n").encode()
    made["GTSRB/Final_Test/Images/00000.ppm"] = picture
    return made


def gtsrb_special() -> dict[str, Files]:
    table, head = (
        "GTSRB/Final_Test/Images/GT-final_test.csv",
        b"Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n",
    )
    rows = {
        "a large box": b"00000.ppm;30;30;0;0;9000;9000;1\n",
        "a larger box": b"00000.ppm;30;30;0;0;2000000000;2000000000;1\n",
        "numbers beyond": b"00000.ppm;30;30;0;0;" + b"9" * 30 + b";9;1\n",
        "a box inside out": b"00000.ppm;30;30;25;25;5;5;1\n",
        "an empty box": b"00000.ppm;30;30;5;5;5;5;1\n",
        "label beyond": b"00000.ppm;30;30;5;5;25;25;" + b"9" * 30 + b"\n",
        "label of no class": b"00000.ppm;30;30;5;5;25;25;-7\n",
        "a long field": b"00000.ppm;30;30;5;5;25;25;1;" + b"x" * 200_000 + b"\n",
        "nul": b"00000.ppm;\0\n",
        "latin": b"caf\xe9.ppm;30;30;5;5;25;25;1\n",
    }
    made = {name: {**gtsrb_seeds(), table: head + row} for name, row in rows.items()}
    renamed = gtsrb_seeds()
    renamed["GTSRB/Final_Training/Images/00000/x_1.ppm"] = renamed.pop(
        "GTSRB/Final_Training/Images/00000/00000_00000.ppm"
    )
    key = "GTSRB/Final_Training/Images/00000/GT-00000.csv"
    renamed[key] = renamed[key].replace(b"00000_00000.ppm", b"x_1.ppm")
    return {**made, "a frame without a number": renamed}
