"""What the measurements share: images as the model sees them, and runs with what others took of the processor meanwhile."""
import pathlib
import platform
import resource
import subprocess
import sys
import time

import numpy
from PIL import Image

MEAN, STD = numpy.float32([0.485, 0.456, 0.406]), numpy.float32([0.229, 0.224, 0.225])


def pixels(path, width, height):
    """As the model's own preprocessing has them."""
    image = Image.open(path).convert("RGB").resize((width, height), Image.BICUBIC)
    scaled = (numpy.asarray(image, numpy.float32) / numpy.float32(255) - MEAN) / STD
    return numpy.ascontiguousarray(scaled.transpose(2, 0, 1))


def spread(items, count):
    return [items[i * len(items) // count] for i in range(min(count, len(items)))]


def image_files(folder):
    return sorted(p for p in pathlib.Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))


def busy_seconds():
    with open("/proc/stat") as stat:
        user, nice, system, _, _, irq, softirq, *_ = map(int, stat.readline().split()[1:])
    return (user + nice + system + irq + softirq) / 100


def own_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(command):
    """Its output, and how many cores others took meanwhile."""
    start, busy, own = time.time(), busy_seconds(), own_seconds()
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    foreign = (busy_seconds() - busy - (own_seconds() - own)) / (time.time() - start)
    return result.stdout, max(0.0, foreign)


def processor():
    """Its name, and the instructions that matter for these products."""
    info = pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    fields = dict(map(str.strip, line.split(":", 1)) for line in info.splitlines() if ":" in line)
    wanted = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16")
    flags = fields.get("flags", "").split()
    return f"{fields.get('model name', platform.machine())}; {' '.join(f for f in wanted if f in flags)}"
