#!/usr/bin/env python3
"""Makes a few hundred images and compares how this library and Pillow 9.4 decode them.

usage: pillow_cases.py IMAGE_PROBE [FOLDER]

Pillow writes what it can write; PNG, TIFF, BMP and PNM variants that it cannot write are put together here.
Exit status: 0 all equal, 1 differences (each is printed), 77 skipped because Pillow 9.4 or numpy is missing.
FOLDER keeps the images; otherwise they go to a temporary folder.
"""

import hashlib
import io
import itertools
import os
import struct
import subprocess
import sys
import tempfile
import zlib

try:
    import numpy as np
    import PIL
    from PIL import Image
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)
if not PIL.__version__.startswith("9.4."):
    print(f"skipped: Pillow {PIL.__version__} is installed, 9.4 is compared with")
    sys.exit(77)

from compare_with_pillow import pillow_pixels

SIZES = [(1, 1), (7, 5), (33, 17), (130, 67)]


def samples(width, height, channels, top, seed=1):
    """[height, width, channels]: waves and noise from 0 to top."""
    random = np.random.RandomState(seed)
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    wave = (np.sin((x + 2 * y) / 9.0 + c) + 1) / 2
    noise = random.rand(height, width, channels)
    return np.clip((0.75 * wave + 0.25 * noise) * (top + 1), 0, top).astype(np.int64)


def as_bytes(values, bits, order=">"):
    """Packs the last axis of [rows, n] into bytes, most significant bit first."""
    if bits == 8:
        return values.astype(np.uint8).tobytes()
    if bits == 16:
        return values.astype(order + "u2").tobytes()
    digits = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(digits.reshape(values.shape[0], -1).astype(np.uint8), axis=1).tobytes()


# --- what Pillow writes -------------------------------------------------------------------------------------


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def images(width, height):
    rgb = Image.fromarray(samples(width, height, 3, 255).astype(np.uint8), "RGB")
    rgba = Image.fromarray(samples(width, height, 4, 255).astype(np.uint8), "RGBA")
    grey = rgb.convert("L")
    return {
        "1": rgb.convert("1"),
        "L": grey,
        "LA": rgba.convert("LA"),
        "P": rgb.quantize(37),
        "RGB": rgb,
        "RGBA": rgba,
        "CMYK": Image.fromarray(samples(width, height, 4, 255).astype(np.uint8), "CMYK"),
        "YCbCr": rgb.convert("YCbCr"),
        "I;16": Image.fromarray(samples(width, height, 1, 65535)[..., 0].astype(np.uint16)),
    }


def pillow_files(size):
    made = images(*size)
    tag = "%dx%d" % size
    for mode, quality, sub in itertools.product(["L", "RGB", "CMYK"], [35, 92], [0, 1, 2]):
        for progressive in (False, True):
            name = f"jpeg-{mode}-q{quality}-s{sub}-{'progressive' if progressive else 'baseline'}-{tag}.jpg"
            yield name, saved(made[mode], "JPEG", quality=quality, subsampling=sub, progressive=progressive)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        yield f"png-{mode}-{tag}.png", saved(made[mode], "PNG")
    yield f"png-L-trns-{tag}.png", saved(made["L"], "PNG", transparency=17)
    yield f"png-RGB-trns-{tag}.png", saved(made["RGB"], "PNG", transparency=(1, 2, 3))
    yield f"png-P-trns-{tag}.png", saved(made["P"], "PNG", transparency=bytes(range(37)))
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield f"bmp-{mode}-{tag}.bmp", saved(made[mode], "BMP")
    for mode in ("1", "L", "RGB"):
        yield f"pnm-{mode}-{tag}.pnm", saved(made[mode], "PPM")
    for mode, lossless in itertools.product(["RGB", "RGBA"], [False, True]):
        yield f"webp-{mode}-{lossless}-{tag}.webp", saved(made[mode], "WEBP", lossless=lossless, quality=70)
        yield f"webp-{mode}-{lossless}-exact-{tag}.webp", saved(made[mode], "WEBP", lossless=lossless, exact=True)
    frames = dict(save_all=True, append_images=[made["RGBA"].rotate(180)], duration=50)
    yield f"webp-animated-{tag}.webp", saved(made["RGBA"], "WEBP", **frames)
    compressions = ["raw", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits"]
    for mode, compression in itertools.product(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"], compressions):
        yield f"tiff-{mode}-{compression}-{tag}.tiff", saved(made[mode], "TIFF", compression=compression)
    for compression in ("tiff_ccitt", "group3", "group4"):
        yield f"tiff-1-{compression}-{tag}.tiff", saved(made["1"], "TIFF", compression=compression)
    for mode in ("L", "RGB", "CMYK", "YCbCr"):
        yield f"tiff-{mode}-jpeg-{tag}.tiff", saved(made[mode], "TIFF", compression="jpeg", quality=80)
    for mode in ("L", "RGB"):
        yield f"tiff-{mode}-predictor-{tag}.tiff", saved(made[mode], "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    for turn in range(1, 9):
        yield f"tiff-turned-{turn}-{tag}.tiff", saved(made["RGB"], "TIFF", tiffinfo={274: turn})
        yield f"tiff-turned-lzw-{turn}-{tag}.tiff", saved(made["L"], "TIFF", compression="tiff_lzw", tiffinfo={274: turn})
    exif = Image.Exif()
    exif[274] = 6
    yield f"jpeg-exif-turned-{tag}.jpg", saved(made["RGB"], "JPEG", exif=exif)


# --- PNG ----------------------------------------------------------------------------------------------------

PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_rows(values, depth):
    rows = values.reshape(values.shape[0], -1)
    return b"".join(b"\0" + as_bytes(row[None], depth) for row in rows)


def png(values, colour, depth, interlaced=False, palette=None, trns=None):
    height, width, _ = values.shape
    if interlaced:
        passes = [values[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        data = b"".join(png_rows(p, depth) for p in passes if p.size)
    else:
        data = png_rows(values, depth)
    out = b"\x89PNG\r\n\x1a\n"
    out += png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    if palette is not None:
        out += png_chunk(b"PLTE", palette)
    if trns is not None:
        out += png_chunk(b"tRNS", trns)
    return out + png_chunk(b"IDAT", zlib.compress(data)) + png_chunk(b"IEND", b"")


def png_files(size):
    kinds = [(0, d) for d in (1, 2, 4, 8, 16)] + [(2, 8), (2, 16), (4, 8), (4, 16), (6, 8), (6, 16)]
    kinds += [(3, d) for d in (1, 2, 4, 8)]
    trns = {0: b"\0\1", 2: b"\0\1\0\2\0\3", 3: b"\0\x80"}
    for (colour, depth), interlaced in itertools.product(kinds, (False, True)):
        values = samples(*size, PNG_CHANNELS[colour], 2**depth - 1)
        palette = bytes(samples(2**depth, 1, 3, 255).astype(np.uint8).ravel()) if colour == 3 else None
        name = f"png-colour{colour}-depth{depth}-{'adam7' if interlaced else 'plain'}-%dx%d" % size
        yield name + ".png", png(values, colour, depth, interlaced, palette)
        if colour in trns:
            yield name + "-trns.png", png(values, colour, depth, interlaced, palette, trns[colour])
    short = bytes(samples(20, 1, 3, 255).astype(np.uint8).ravel())
    yield "png-short-palette-%dx%d.png" % size, png(samples(*size, 1, 255), 3, 8, False, short)


# --- TIFF ---------------------------------------------------------------------------------------------------

TIFF_TYPES = {"H": 3, "I": 4}


def tiff_directory(order, tags, data_offset):
    """tags: {number: (type, values)}. Returns directory bytes that begin at data_offset."""
    entries, extra = b"", b""
    extra_offset = data_offset + 2 + 12 * len(tags) + 4
    for number in sorted(tags):
        kind, values = tags[number]
        data = struct.pack(order + kind * len(values), *values)
        if len(data) > 4:
            entries += struct.pack(order + "HHII", number, TIFF_TYPES[kind], len(values), extra_offset + len(extra))
            extra += data + b"\0" * (len(data) % 2)
        else:
            entries += struct.pack(order + "HHI", number, TIFF_TYPES[kind], len(values)) + data.ljust(4, b"\0")
    return struct.pack(order + "H", len(tags)) + entries + b"\0" * 4 + extra


def tiff_blocks(values, tile, rows_per_strip):
    height, width, _ = values.shape
    if tile is None:
        return [values[y : y + rows_per_strip] for y in range(0, height, rows_per_strip)]
    padded = np.pad(values, ((0, -height % tile), (0, -width % tile), (0, 0)))
    return [padded[y : y + tile, x : x + tile] for y in range(0, height, tile) for x in range(0, width, tile)]


def tiff(values, photometric, bits, order="<", tile=None, rows_per_strip=8, planar=False, deflate=False, extra=None,
         palette=None, reverse_bits=False, sample_format=None, subsampling=None):
    height, width, channels = values.shape
    planes = [values[..., c : c + 1] for c in range(channels)] if planar else [values]
    blocks = [b for plane in planes for b in tiff_blocks(plane, tile, rows_per_strip)]
    stored = [as_bytes(b.reshape(b.shape[0], -1), bits, order) for b in blocks]
    if deflate:
        stored = [zlib.compress(s) for s in stored]
    if reverse_bits:
        mirror = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))
        stored = [s.translate(mirror) for s in stored]
    offsets = list(itertools.accumulate([8] + [len(s) for s in stored]))
    tags = {256: ("I", [width]), 257: ("I", [height]), 258: ("H", [bits] * channels), 259: ("H", [8 if deflate else 1]),
            262: ("H", [photometric]), 277: ("H", [channels]), 284: ("H", [2 if planar else 1])}
    if tile:
        tags.update({322: ("I", [tile]), 323: ("I", [tile]), 324: ("I", offsets[:-1]), 325: ("I", [len(s) for s in stored])})
    else:
        tags.update({278: ("I", [rows_per_strip]), 273: ("I", offsets[:-1]), 279: ("I", [len(s) for s in stored])})
    if extra is not None:
        tags[338] = ("H", extra)
    if palette is not None:
        tags[320] = ("H", palette)
    if reverse_bits:
        tags[266] = ("H", [2])
    if sample_format is not None:
        tags[339] = ("H", [sample_format] * channels)
    if subsampling is not None:
        tags[530] = ("H", subsampling)
    data = b"".join(stored)
    data += b"\0" * (len(data) % 2)
    start = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8 + len(data))
    return start + data + tiff_directory(order, tags, 8 + len(data))


def tiff_kinds():
    """name, photometric, bits, channels, extra samples"""
    for bits, photometric in itertools.product((1, 2, 4, 8), (0, 1)):
        yield f"grey{bits}-photometric{photometric}", photometric, bits, 1, None
    yield "grey16", 1, 16, 1, None
    for bits in (1, 2, 4, 8):
        yield f"palette{bits}", 3, bits, 1, None
    for bits in (8, 16):
        yield f"rgb{bits}", 2, bits, 3, None
        for extra in (0, 1, 2):
            yield f"rgb{bits}-extra{extra}", 2, bits, 4, [extra]
    yield "greyalpha8", 1, 8, 2, [2]
    yield "cmyk8", 5, 8, 4, None
    yield "cmyk16", 5, 16, 4, None


def tiff_files(size):
    layouts = {
        "strips": {},
        "one-strip": dict(rows_per_strip=1000),
        "strips-deflate": dict(deflate=True),
        "tiles-deflate": dict(tile=16, deflate=True),
        "tiles": dict(tile=16),
        "planar-deflate": dict(planar=True, deflate=True),
        "planar-tiles-deflate": dict(planar=True, tile=16, deflate=True),
        "planar": dict(planar=True),
    }
    for (kind, photometric, bits, channels, extra), (layout, options), order in itertools.product(
        tiff_kinds(), layouts.items(), "<>"
    ):
        if options.get("planar") and (channels == 1 or bits == 16 or extra):
            continue  # Pillow's own reading of these is wrong or refused
        palette = list(samples(2**bits, 1, 3, 65535)[0].T.ravel()) if photometric == 3 else None
        values = samples(*size, channels, 2**bits - 1)
        if extra == [1]:
            values[0, 0, 3] = 0
        name = f"tiff-{kind}-{layout}-{'little' if order == '<' else 'big'}-%dx%d.tiff" % size
        yield name, tiff(values, photometric, bits, order, extra=extra, palette=palette, **options)
    for bits in (1, 4, 8):
        values = samples(*size, 1, 2**bits - 1)
        yield f"tiff-reversed{bits}-%dx%d.tiff" % size, tiff(values, 1, bits, reverse_bits=True)
    # Compressed only: Pillow takes uncompressed YCbCr for four bytes a pixel.
    for layout, options in {"deflate": dict(deflate=True), "tiles": dict(tile=16, deflate=True)}.items():
        ycbcr = tiff(samples(*size, 3, 255), 6, 8, subsampling=[1, 1], **options)
        yield f"tiff-ycbcr-{layout}-%dx%d.tiff" % size, ycbcr
    yield "tiff-grey12-%dx%d.tiff" % size, tiff(samples(*size, 1, 4095), 1, 12)
    signed = samples(*size, 1, 65535) - 32768
    yield "tiff-signed16-%dx%d.tiff" % size, tiff(signed, 1, 16, sample_format=2)


# --- BMP ----------------------------------------------------------------------------------------------------


def bmp(width, height, bits, data, compression=0, palette=b"", masks=b"", header_bytes=40, top_down=False):
    if header_bytes == 12:
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        colours = len(palette) // 4
        header = struct.pack("<IiiHHIIiiII", header_bytes, width, -height if top_down else height, 1, bits, compression,
                             len(data), 2835, 2835, colours, 0)
        header += masks if header_bytes > 40 else b""
        header = header.ljust(header_bytes, b"\0") + (masks if header_bytes == 40 else b"")
    offset = 14 + len(header) + len(palette)
    return struct.pack("<2sIHHI", b"BM", offset + len(data), 0, 0, offset) + header + palette + data


def bmp_rows(values, bits):
    rows = [as_bytes(row.reshape(1, -1), bits, "<") for row in values]
    return b"".join(row + b"\0" * (-len(row) % 4) for row in rows)


def rle8(values):
    out = b""
    for row in values:
        for x, value in enumerate(row):
            out += bytes([1 + x % 3, value]) if x % 3 == 0 else b""
        out += b"\0\0"
    return out + b"\0\1"


def bmp_files(size):
    # No jumps within run-length data: Pillow 9.4 takes their distance from the wrong bytes.
    width, height = size
    tag = "%dx%d.bmp" % size
    for bits in (1, 4, 8):
        values = samples(width, height, 1, 2**bits - 1)
        palette = samples(2**bits, 1, 4, 255).astype(np.uint8).tobytes()
        yield f"bmp-palette{bits}-{tag}", bmp(width, height, bits, bmp_rows(values, bits), palette=palette)
        yield f"bmp-palette{bits}-down-{tag}", bmp(width, height, bits, bmp_rows(values, bits), palette=palette, top_down=True)
        os2_palette = samples(2**bits, 1, 3, 255).astype(np.uint8).tobytes()
        yield f"bmp-os2-{bits}-{tag}", bmp(width, height, bits, bmp_rows(values, bits), palette=os2_palette, header_bytes=12)
    short = samples(5, 1, 4, 255).astype(np.uint8).tobytes()
    yield f"bmp-short-palette-{tag}", bmp(width, height, 8, bmp_rows(samples(width, height, 1, 255), 8), palette=short)
    yield f"bmp-rgb15-{tag}", bmp(width, height, 16, bmp_rows(samples(width, height, 1, 65535), 16))
    words = lambda *masks: struct.pack("<%dI" % len(masks), *masks)
    for name, masks in {"565": (0xF800, 0x7E0, 0x1F), "555": (0x7C00, 0x3E0, 0x1F)}.items():
        data = bmp_rows(samples(width, height, 1, 65535), 16)
        yield f"bmp-masks{name}-{tag}", bmp(width, height, 16, data, 3, masks=words(*masks))
    yield f"bmp-rgb24-{tag}", bmp(width, height, 24, bmp_rows(samples(width, height, 3, 255), 8))
    data = bmp_rows(samples(width, height, 4, 255), 8)
    yield f"bmp-rgb32-{tag}", bmp(width, height, 32, data)
    yield f"bmp-masks-bgrx-{tag}", bmp(width, height, 32, data, 3, masks=words(0xFF0000, 0xFF00, 0xFF))
    for name, masks in {
        "xbgr": (0xFF000000, 0xFF0000, 0xFF00, 0),
        "rgba": (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
        "bgra": (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
        "none": (0, 0, 0, 0),
    }.items():
        yield f"bmp-v4-{name}-{tag}", bmp(width, height, 32, data, 3, masks=words(*masks), header_bytes=108)
    coarse = samples(width, height, 1, 255)[..., 0] // 9
    palette = samples(256, 1, 4, 255).astype(np.uint8).tobytes()
    yield f"bmp-rle8-{tag}", bmp(width, height, 8, rle8(coarse), 1, palette=palette)
    rle4_row = lambda row: b"".join(bytes([1, (int(v) % 16) << 4]) for v in row) + b"\0\0"
    rle4 = b"".join(rle4_row(row) for row in coarse) + b"\0\1"
    yield f"bmp-rle4-{tag}", bmp(width, height, 4, rle4, 2, palette=palette[:64])
    if width > 4 and width % 2 == 0:
        literal = b"".join(b"\0" + bytes([width]) + row.astype(np.uint8).tobytes() + b"\0\0" for row in coarse) + b"\0\1"
        yield f"bmp-rle8-literal-{tag}", bmp(width, height, 8, literal, 1, palette=palette)
        fours = [bytes(int(a) % 16 << 4 | int(b) % 16 for a, b in row.reshape(-1, 2)) for row in coarse]
        literal = b"".join(b"\0" + bytes([width]) + f + b"\0" * (len(f) % 2) + b"\0\0" for f in fours) + b"\0\1"
        yield f"bmp-rle4-literal-{tag}", bmp(width, height, 4, literal, 2, palette=palette[:64])


# --- PNM ----------------------------------------------------------------------------------------------------


def pnm_files(size):
    width, height = size
    tag = "%dx%d.pnm" % size
    bit = samples(width, height, 1, 1)[..., 0]
    plain = "\n".join("".join(str(v) for v in row) for row in bit)
    yield f"pnm-p1-{tag}", f"P1 # comment\n{width} {height}\n{plain}\n".encode()
    yield f"pnm-p4-{tag}", b"P4\n#c\n%d %d\n" % size + as_bytes(bit, 1)
    for top, (kind, channels) in itertools.product((1, 7, 100, 255, 256, 1000, 65535), (("grey", 1), ("rgb", 3))):
        values = samples(width, height, channels, top)
        head = b"%d %d\n# comment\n%d\n" % (width, height, top)
        text = " ".join(str(v) for v in values.ravel()).encode()
        yield f"pnm-plain-{kind}-{top}-{tag}", (b"P2\n" if channels == 1 else b"P3\n") + head + text + b"\n"
        data = as_bytes(values.reshape(height, -1), 8 if top < 256 else 16)
        yield f"pnm-binary-{kind}-{top}-{tag}", (b"P5\n" if channels == 1 else b"P6\n") + head + data


# --- the comparison -----------------------------------------------------------------------------------------

# What Pillow 9.4 refuses and this library reads: 16-bit CMYK in big-endian files.
BEYOND_PILLOW = ("tiff-cmyk16",)


def pillow_line(path):
    try:
        rgb = pillow_pixels(path)
    except Exception as error:  # whatever Pillow raises, it means that it does not read the image
        return f"error {type(error).__name__} {error}"
    return "%d %d %s" % (rgb.shape[1], rgb.shape[0], hashlib.sha256(np.ascontiguousarray(rgb).tobytes()).hexdigest())


def all_files():
    for size in SIZES:
        for make in (pillow_files, png_files, tiff_files, bmp_files, pnm_files):
            yield from make(size)


def main():
    probe = sys.argv[1]
    with tempfile.TemporaryDirectory() as temporary:
        folder = sys.argv[2] if len(sys.argv) > 2 else temporary
        paths = []
        for name, data in all_files():
            paths.append(os.path.join(folder, name))
            with open(paths[-1], "wb") as file:
                file.write(data)
        commands = "".join(f"decode {path}\n" for path in paths)
        answers = subprocess.run([probe], input=commands, capture_output=True, text=True, check=True).stdout.splitlines()
        wrong, beyond = 0, 0
        for path, ours in zip(paths, answers, strict=True):
            name, theirs = os.path.basename(path), pillow_line(path)
            if theirs.startswith("error") and name.startswith(BEYOND_PILLOW) and not ours.startswith("error"):
                beyond += 1
            elif ours.split()[0:3] != theirs.split()[0:3]:
                wrong += 1
                print(f"DIFFERENT {name}: Pillow {theirs}; here {ours}")
    equal = len(paths) - wrong - beyond
    print(f"{len(paths)} images: {equal} equal, {wrong} different, {beyond} read here but not by Pillow")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
