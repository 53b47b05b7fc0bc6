"""Images a second of each route that gives vectors, asked in turns, and their ratio to /encode's: by the clock, and by the
service's processor time, which says the same on a machine that does other things too.
usage: serve_dialects.py MII [--rounds N] [--images N] [--seconds S] [-- FLAG OF MII SERVE...]"""
import argparse
import base64
import json
import os
import pathlib
import statistics
import sys
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "serve"))
from service import DATA, service  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("--rounds", type=int, default=9)
parser.add_argument("--seconds", type=float, default=2)
parser.add_argument("--images", type=int, default=8, help="of a request")
parser.add_argument("--clients", type=int, default=4)
parser.add_argument("flags", nargs="*", help="of mii serve")
arguments = parser.parse_args()

IMAGES = ["data:image/png;base64," + base64.b64encode((DATA / "rgb.png").read_bytes()).decode()] * arguments.images
EMBED = "/providers/microsoft/v2/embed"
ROUTES = {
    "/encode": ("/encode", {"images": IMAGES}),
    f"{EMBED} float": (EMBED, {"model": "medimageinsight", "images": IMAGES}),
    f"{EMBED} base64, ubinary": (EMBED, {"model": "medimageinsight", "images": IMAGES,
                                         "embedding_types": ["base64", "ubinary"]}),
    "/v1/embeddings float": ("/v1/embeddings", {"model": "medimageinsight", "modality": "image", "input": IMAGES}),
}


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rates_of(running, path, body):
    """Images a second, and a second of processor time, for clients that each ask again when they are answered."""
    begin, used = time.monotonic(), processor_seconds(running.process.pid)
    counts = [0] * arguments.clients

    def ask(client):
        while time.monotonic() - begin < arguments.seconds:
            request = urllib.request.Request(running.url + path, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request) as answer:
                answer.read()
            counts[client] += arguments.images

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(arguments.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    images = sum(counts)
    return images / (time.monotonic() - begin), images / (processor_seconds(running.process.pid) - used)


rates = {name: [] for name in ROUTES}
with service(arguments.program, *arguments.flags) as running:
    for _ in range(arguments.rounds):
        for name, (path, body) in ROUTES.items():
            rates[name].append(rates_of(running, path, json.dumps(body).encode()))
for name, values in rates.items():
    by_clock, by_processor = (
        100 * statistics.median(value[i] / first[i] for value, first in zip(values, rates["/encode"])) for i in range(2))
    print(f"{name:50} {statistics.median(clock for clock, _ in values):8.1f} images/s"
          f"   {by_clock:6.1f} % of /encode by the clock, {by_processor:6.1f} % by processor time")
