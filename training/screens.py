#!/usr/bin/env python3
"""Adds images that look like a scanner's screen to a manifest of training images.

screens.py MANIFEST OUT writes OUT/manifest.tsv: all rows of MANIFEST, then copies of some training images, which
lie in OUT/screens: 700 ultrasounds as curved and linear probes show them, a sector or a trapezoid on black, a third
of them with blood flow in colours, with letters, a bar of shades and a scale; and 500 tomographies, magnetic
resonances, radiographs and mammograms with letters, half of them on black, so that these are no mark of ultrasound.
The same manifest gives the same images. Needs python3-pil and python3-numpy.
"""
import math
import pathlib
import random
import string
import sys

import numpy
from PIL import Image, ImageDraw

ULTRASOUNDS, OTHERS = 700, 500
OTHER_MODALITIES = ("Computed Tomography", "Magnetic Resonance Imaging", "X-Ray", "Mammography")
SIZES = [(256, 192), (256, 192), (288, 200), (240, 240), (256, 160), (200, 256)]
INKS = [(255, 255, 255), (255, 255, 255), (220, 220, 220), (255, 220, 60), (90, 200, 255), (120, 255, 120)]
BAR_WIDTHS = (5,)

draw = random.Random(7)
noise = numpy.random.RandomState(7)


def add_letters(pen, width, height, lines):
    for _ in range(lines):
        text = "".join(draw.choice(string.ascii_uppercase + string.digits + "  /.-")
                       for _ in range(draw.randint(2, 14)))
        side = draw.random()
        x = draw.uniform(0, .25) if side < .4 else draw.uniform(.7, .95) if side < .8 else draw.uniform(.2, .7)
        y = draw.choice([draw.uniform(0, .12), draw.uniform(.86, .97), draw.uniform(0, .6)])
        pen.text((x * width, y * height), text, fill=draw.choice(INKS))


def sector(image, width, height):
    """The upper edge becomes an arc, the lower one an arc of a larger circle; lengths in depths of the sector.

    Returns the screen, and which of its places show the image."""
    source = numpy.asarray(image.convert("RGB")).astype(numpy.float32)
    rows, columns = source.shape[:2]
    half_angle = math.radians(draw.uniform(18, 48))
    near = draw.uniform(.05, .9)
    far = near + 1
    top, half_width = near * math.cos(half_angle), far * math.sin(half_angle)
    scale = min(width * .98 / (2 * half_width), height * .96 / (far - top)) * draw.uniform(.65, 1)
    centre = width / 2 + draw.uniform(-.5, .5) * (width - 2 * half_width * scale)
    down = draw.uniform(0, 1)**1.5 * (height - (far - top) * scale)
    y, x = numpy.mgrid[0:height, 0:width].astype(numpy.float32)
    across, depth = (x - centre) / scale, (y - down) / scale + top
    column = (numpy.arctan2(across, depth) / half_angle + 1) / 2 * (columns - 1)
    row = (numpy.hypot(across, depth) - near) / (far - near) * (rows - 1)
    shown = (column >= 0) & (column <= columns - 1) & (row >= 0) & (row <= rows - 1)
    at = numpy.clip(row, 0, rows - 1).astype(int), numpy.clip(column, 0, columns - 1).astype(int)
    return source[at] * shown[..., None], shown


def trapezoid(image, width, height):
    """As a linear probe with steered outer beams shows it."""
    w, h = int(width * draw.uniform(.55, .95)), int(height * draw.uniform(.5, .9))
    left, top = draw.randint(0, width - w), draw.randint(0, height - h)
    mask = Image.new("L", (width, height))
    inset, sag = draw.uniform(0, .2) * w, draw.uniform(0, .12) * h
    below = [(left + w - i / 10 * w, top + h - sag + sag * 4 * (i / 10) * (1 - i / 10)) for i in range(11)]
    ImageDraw.Draw(mask).polygon([(left + inset, top), (left + w - inset, top)] + below, fill=255)
    screen = Image.new("RGB", (width, height))
    screen.paste(image.convert("RGB").resize((w, h), Image.BICUBIC), (left, top))
    shown = numpy.asarray(mask) > 0
    return numpy.asarray(screen).astype(numpy.float32) * shown[..., None], shown


def blurred(values, sigma):
    reach = int(3 * sigma) + 1
    kernel = numpy.exp(-numpy.arange(-reach, reach + 1)**2 / (2 * sigma * sigma))
    kernel /= kernel.sum()
    for axis in (0, 1):
        values = numpy.apply_along_axis(lambda line: numpy.convolve(line, kernel, "same"), axis, values)
    return values


def with_flow(screen, shown):
    """Blobs in a box: red and yellow towards the probe, blue and cyan away from it (Doppler)."""
    height, width = shown.shape
    speed = noise.normal(size=(height, width)).astype(numpy.float32)
    speed = blurred(speed, draw.uniform(1.5, 5))
    speed /= speed.std() + 1e-6
    least = draw.uniform(1, 2)
    w, h = int(width * draw.uniform(.2, .5)), int(height * draw.uniform(.2, .5))
    left, top = draw.randint(0, width - w), draw.randint(0, height - h)
    box = numpy.zeros_like(shown)
    box[top:top + h, left:left + w] = 1
    bright = numpy.clip((numpy.abs(speed) - least) / 1.5, 0, 1)[..., None]
    towards = numpy.array([200, 20, 10]) * (1 - bright) + numpy.array([255, 230, 60]) * bright
    away = numpy.array([10, 30, 200]) * (1 - bright) + numpy.array([60, 220, 255]) * bright
    screen = numpy.where(((speed > least) & shown & box)[..., None], towards, screen)
    return numpy.where(((speed < -least) & shown & box)[..., None], away, screen)


def add_bar(pen, width, height, coloured):
    left = draw.choice([4, width - 14])
    top = draw.randint(0, height // 2)
    length = draw.randint(height // 5, height // 3)
    for y in range(length):
        at = 1 - y / length
        shade = (int(255 * at), ) * 3
        if coloured:
            shade = (int(255 * max(0, 2 * at - 1) + 60 * (at > .9)), int(200 * abs(2 * at - 1)**3),
                     int(255 * max(0, 1 - 2 * at)))
        pen.line([(left, top + y), (left + draw.choice(BAR_WIDTHS), top + y)], fill=shade)


def ultrasound_screen(image):
    width, height = draw.choice(SIZES)
    screen, shown = (sector if draw.random() < .6 else trapezoid)(image, width, height)
    coloured = draw.random() < .35
    if coloured:
        screen = with_flow(screen, shown)
    result = Image.fromarray(numpy.clip(screen, 0, 255).astype(numpy.uint8))
    pen = ImageDraw.Draw(result)
    add_letters(pen, width, height, draw.randint(0, 9))
    if draw.random() < .6:
        add_bar(pen, width, height, coloured)
    if draw.random() < .5:
        left, step, y = draw.choice([2, width - 4]), draw.uniform(6, 16), draw.uniform(0, 10)
        while y < height:
            pen.line([(left, y), (left + 2, y)], fill=(200, 200, 200))
            y += step
    return result


def lettered(image):
    image = image.convert("RGB")
    longest = max(image.size)
    if longest < 200:
        image = image.resize(tuple(int(side * 200 / longest) for side in image.size), Image.BICUBIC)
    if draw.random() < .5:
        width, height = image.size
        around = Image.new("RGB", (int(width * draw.uniform(1, 1.6)), int(height * draw.uniform(1, 1.4))))
        around.paste(image, (draw.randint(0, around.width - width), draw.randint(0, around.height - height)))
        image = around
    add_letters(ImageDraw.Draw(image), *image.size, draw.randint(1, 8))
    return image


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    manifest, out = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    header, *lines = manifest.read_text().splitlines()
    columns = header.split("\t")
    rows = [dict(zip(columns, line.split("\t"))) for line in lines]
    for row in rows:
        row["path"] = str(manifest.parent / row["path"])
    training = [row for row in rows if row["split"] == "train"]
    (out / "screens").mkdir(parents=True, exist_ok=True)

    def add(name, count, sources, change):
        for i in range(count if sources else 0):
            row = dict(draw.choice(sources))
            with Image.open(row["path"]) as image:
                screen = change(image)
            row["path"] = str(out / "screens" / f"{name}{i}.jpg")
            screen.save(row["path"], quality=draw.randint(60, 95))
            rows.append(row)

    add("ultrasound-", ULTRASOUNDS, [row for row in training if row["modality"] == "Ultrasound"], ultrasound_screen)
    add("other-", OTHERS, [row for row in training if row["modality"] in OTHER_MODALITIES], lettered)
    with open(out / "manifest.tsv", "w") as table:
        for row in [dict(zip(columns, columns))] + rows:
            table.write("\t".join(row[column] for column in columns) + "\n")


main()
